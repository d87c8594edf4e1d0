"""A device is what the measurement sees of the shared one: who holds its memory, what is free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from objectives.plain_data.masked import masked
from objectives.plain_data.spellable import spellable

VISIBLE = "CUDA_VISIBLE_DEVICES"
ORDER, BY_BUS = "CUDA_DEVICE_ORDER", "PCI_BUS_ID"  # how CUDA counts them, and how NVML does
INDEX = "[0-9]{1,3}"  # of a GPU; NVML would take a larger number modulo 2**32
TOTAL_TOLERANCE = 0.02  # by this share the total of one product may differ


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity says which device this is.

    Args:
        product: The product's name; with `total_mib` it decides whether two measurements may be
            compared.
        uuid: The name of this very device.
        total_mib: The memory that servers may share, MiB.
        driver: The version of the driver; None without one.
        cuda: The version of CUDA that the driver has; None without one.
    """

    product: str
    uuid: str
    total_mib: float
    driver: str | None
    cuda: str | None

    @property
    def software(self) -> str:
        """Return the versions that are known, as they stand behind a product.

        >>> Identity("H200", "GPU-1", 143156.0, "580.1", "13.0").software
        ', driver 580.1, CUDA 13.0'
        >>> Identity("H200", "GPU-1", 143156.0, "580.1", None).software
        ', driver 580.1'
        """
        known = (("driver", self.driver), ("CUDA", self.cuda))
        return "".join(f", {name} {version}" for name, version in known if version)

    def is_like(self, product: str | None, total_mib: float | None) -> bool:
        """Return whether measurements on a device of this product and total are comparable."""
        is_as_large = (
            total_mib is not None and abs(total_mib / self.total_mib - 1) <= TOTAL_TOLERANCE
        )
        return product == self.product and is_as_large


@dataclass(frozen=True, slots=True)
class Occupant:
    """An occupant is a process that holds device memory.

    Args:
        pid: Its process id.
        command: Its command line.
        mib: The memory that it holds, MiB; None where the device does not tell.
        unit: Its systemd unit; None where it has none.
    """

    pid: int
    command: str
    mib: float | None
    unit: str | None

    def __post_init__(self) -> None:
        # a process may call itself anything
        object.__setattr__(self, "command", masked(spellable(self.command)))


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample shows the device at one moment; what a device does not tell is None.

    Args:
        at_s: The moment on the monotonic clock, seconds.
        free_mib: The free memory, MiB.
        busy_pct: How long kernels ran lately, percent of the time.
        power_w: The power drawn, watts.
    """

    at_s: float
    free_mib: float
    busy_pct: float | None = None
    power_w: float | None = None


class Device(Protocol):
    """A device has what the measurement needs of one."""

    @property
    def identity(self) -> Identity:
        """Return which device this is."""

    @property
    def compute(self) -> float | None:
        """Return the compute capability, e.g. 8.6; None where it has none."""

    @property
    def server_env(self) -> Mapping[str, str]:
        """Return the environment that makes a server use this device and no other."""

    def sample(self) -> Sample:
        """Read the device now."""

    def occupants(self) -> list[Occupant]:
        """Return the processes that hold the device's memory now."""

    def held_mib(self, pid: int) -> float | None:
        """Return the MiB that a process and its descendants hold; None where none can tell."""


def unit_of(pid: int) -> str | None:
    """Return the systemd service that a process belongs to; None where it belongs to none."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
    except OSError:
        return None
    units = re.findall(r"([\w@.\\-]+\.service)", text)
    return units[-1] if units else None
