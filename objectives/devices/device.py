"""The device that is shared, as the measurement sees it: what it is, who holds its memory, what is free now."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MIB = 2**20
TOTAL_TOLERANCE = 0.02  # by this share the total of one product may differ


@dataclass(frozen=True, slots=True)
class Identity:
    """Which device this is: `product` and `total_mib` decide whether two measurements may be compared."""

    product: str
    uuid: str
    total_mib: float
    driver: str | None
    cuda: str | None

    def is_like(self, product: str | None, total_mib: float | None) -> bool:
        """Whether what was measured on a device of this product and total may be compared with this one's."""
        is_as_large = (
            total_mib is not None and abs(total_mib / self.total_mib - 1) <= TOTAL_TOLERANCE
        )
        return product == self.product and is_as_large


@dataclass(frozen=True, slots=True)
class Occupant:
    """A process that holds device memory; `unit` is its systemd unit where it has one."""

    pid: int
    command: str
    mib: float | None
    unit: str | None


@dataclass(frozen=True, slots=True)
class Sample:
    """The device at one moment; what a device does not tell is None."""

    at_s: float
    free_mib: float
    busy_pct: float | None = None
    power_w: float | None = None


class Device(Protocol):
    """What the measurement needs of a device."""

    @property
    def identity(self) -> Identity: ...

    @property
    def server_env(self) -> Mapping[str, str]:
        """Environment that makes a server use this device and no other."""

    def sample(self) -> Sample: ...

    def occupants(self) -> list[Occupant]: ...

    def held_mib(self, pid: int) -> float | None:
        """Memory held by a process and its descendants; None where the device cannot tell."""


def unit_of(pid: int) -> str | None:
    """The systemd service that a process belongs to; None where it belongs to none."""
    try:
        found = re.findall(r"([\w@.\\-]+\.service)", Path(f"/proc/{pid}/cgroup").read_text())
    except OSError:
        return None
    return found[-1] if found else None
