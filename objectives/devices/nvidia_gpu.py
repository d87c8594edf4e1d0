"""An NVIDIA GPU or a MIG slice is the shared device, read through NVML."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pynvml  # type: ignore[import-untyped]

from objectives.devices.device import (
    BY_BUS,
    INDEX,
    ORDER,
    VISIBLE,
    Identity,
    Occupant,
    Sample,
    unit_of,
)
from objectives.errors import SetupError
from objectives.plain_data.units import MIB

PCI = Path("/sys/bus/pci/devices")


class NvidiaGpu:
    """An NVIDIA GPU or MIG slice is read through NVML.

    Args:
        name: `cuda` (the first), an index, a UUID or a MIG UUID.

    Raises:
        SetupError: NVML or that device is missing.
    """

    def __init__(self, name: str) -> None:
        try:
            pynvml.nvmlInit()
            if name == "cuda" or re.fullmatch(INDEX, name):
                self._handle = pynvml.nvmlDeviceGetHandleByIndex(0 if name == "cuda" else int(name))
            else:
                self._handle = pynvml.nvmlDeviceGetHandleByUUID(name)
        except pynvml.NVMLError as error:
            raise SetupError(
                f"no NVIDIA GPU {name!r} on this machine ({error}); "
                "write `device: cpu` to measure the host's memory, or install the driver"
            ) from error
        uuid = str(pynvml.nvmlDeviceGetUUID(self._handle))
        version = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        self.identity = Identity(
            str(pynvml.nvmlDeviceGetName(self._handle)),
            uuid,
            self._usable_mib(),
            str(pynvml.nvmlSystemGetDriverVersion()),
            f"{version // 1000}.{version % 1000 // 10}",
        )
        major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(self._handle)
        self.compute: float | None = major + minor / 10
        visible = uuid if uuid.startswith("MIG") else str(pynvml.nvmlDeviceGetIndex(self._handle))
        self.server_env: Mapping[str, str] = {ORDER: BY_BUS, VISIBLE: visible}

    def _usable_mib(self) -> float:
        """Return CUDA's total, of which vLLM takes its share: it lacks what the driver keeps."""
        try:
            info = pynvml.nvmlDeviceGetMemoryInfo(self._handle, version=pynvml.nvmlMemory_v2)
            return float(info.total - info.reserved) / MIB
        except pynvml.NVMLError:  # a driver that does not tell
            return float(pynvml.nvmlDeviceGetMemoryInfo(self._handle).total) / MIB

    def sample(self) -> Sample:
        """Read free memory, load and power; a MIG slice has the first alone."""
        free = pynvml.nvmlDeviceGetMemoryInfo(self._handle).free / MIB
        try:
            busy: float | None = float(pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)
            power: float | None = pynvml.nvmlDeviceGetPowerUsage(self._handle) / 1000.0
        except pynvml.NVMLError:
            busy = power = None
        return Sample(time.monotonic(), free, busy, power)

    def occupants(self) -> list[Occupant]:
        """Return the processes that compute or draw on the GPU, as far as the driver tells.

        Under WSL2 it may list none of a kind, and not what each holds.
        """
        running = []
        for listed in (
            pynvml.nvmlDeviceGetComputeRunningProcesses,
            pynvml.nvmlDeviceGetGraphicsRunningProcesses,
        ):
            with suppress(pynvml.NVMLError_NotSupported):
                running += listed(self._handle)
        held_mib = {
            p.pid: None if p.usedGpuMemory is None else p.usedGpuMemory / MIB for p in running
        }
        return [Occupant(pid, _command(pid), mib, unit_of(pid)) for pid, mib in held_mib.items()]

    def held_mib(self, pid: int) -> float | None:  # noqa: ARG002
        """Return None: inside containers NVML knows other process ids, or none.

        The change in free memory tells instead.
        """
        return None


def every_gpu() -> list[str]:
    """Return the UUID of every GPU of this machine; of one that is split those of its slices.

    Raises:
        SetupError: NVML is missing.
    """
    try:
        pynvml.nvmlInit()
        handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
        return [uuid for handle in handles for uuid in _slices(handle) or [_uuid(handle)]]
    except pynvml.NVMLError as error:
        raise SetupError(
            f"no NVIDIA GPU on this machine ({error}); install the driver, or leave --devices out"
        ) from error


def _uuid(handle: Any) -> str:
    return str(pynvml.nvmlDeviceGetUUID(handle))


def _slices(handle: Any) -> list[str]:
    """Return the UUIDs of the MIG slices of a GPU; none where it is whole."""
    slices = []
    with suppress(pynvml.NVMLError):  # it cannot be split, or is not
        for number in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
            with suppress(pynvml.NVMLError_NotFound):
                slices.append(_uuid(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number)))
    return slices


def numa_node(uuid: str) -> int | None:
    """Return the NUMA node that a GPU is nearest to; None where the machine does not tell."""
    with suppress(pynvml.NVMLError, OSError, ValueError):
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        if uuid.startswith("MIG"):
            handle = pynvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle)
        bus = pynvml.nvmlDeviceGetPciInfo(handle).busId
        name = (bus.decode() if isinstance(bus, bytes) else str(bus)).lower()
        domain, rest = name.split(":", 1)  # NVML writes 8 digits, the kernel 4
        node = int((PCI / f"{domain[-4:]}:{rest}" / "numa_node").read_text())
        return node if node >= 0 else None
    return None


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return "?"  # another container's process, or ended
