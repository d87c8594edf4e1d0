"""Memory and telemetry of the device that is shared: an NVIDIA GPU through NVML, or the host's own memory."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil
import pynvml  # type: ignore[import-untyped]

from objectives.errors import SetupError

MIB = 2**20
NODE = Path("/sys/devices/system/node/node0/meminfo")
SAMPLE_S = 0.04
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
        is_as_large = total_mib is not None and abs(total_mib / self.total_mib - 1) <= TOTAL_TOLERANCE
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


def open_device(name: str) -> Device:
    """The device by name: `cpu`, `cuda` (the first), an index, a UUID or a MIG UUID.

    raises: SetupError where NVML or that device is missing
    """
    return HostMemory() if name == "cpu" else NvidiaGpu(name)


def _meminfo() -> dict[str, int]:
    """Bytes by name, of NUMA node 0 as vLLM's CPU backend reads it, or of the whole host."""
    source = NODE if NODE.exists() else Path("/proc/meminfo")
    found = {}
    for line in source.read_text().splitlines():
        if match := re.match(r"(?:Node \d+ )?([\w()]+):\s+(\d+) kB", line):
            found[match[1]] = int(match[2]) * 1024
    return found


def _cgroup_limit() -> int | None:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            value = int(Path(path).read_text())
        except (OSError, ValueError):
            continue
        return value if value < 1 << 60 else None
    return None


def _total_mib() -> float:
    total = _meminfo()["MemTotal"]
    return min(total, _cgroup_limit() or total) / MIB


class HostMemory:
    """The host's memory as the device: the same total and the same free memory that vLLM on the CPU sees."""

    def __init__(self) -> None:
        """Touch the memory first: a virtual machine may only then be given what it was promised.

        Without this the total grows while a study runs, and the same share is another size in every trial.
        """
        if psutil.virtual_memory().total / MIB > _total_mib() * 1.02:
            touch = int(min(psutil.virtual_memory().available * 0.9, psutil.virtual_memory().total * 0.85))
            script = "import sys; b = bytearray(int(sys.argv[1])); b[::4096] = b'1' * len(b[::4096])"
            subprocess.run([sys.executable, "-c", script, str(touch)], check=False, timeout=120)
        model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
        product = f"CPU {model[1] if model else platform.machine()} x{os.cpu_count()}"
        self.identity = Identity(product, f"host-{platform.node()}", _total_mib(), None, None)
        self.server_env: Mapping[str, str] = {"CUDA_VISIBLE_DEVICES": ""}

    def sample(self) -> Sample:
        info = _meminfo()
        free = info["MemFree"] + info["Active(file)"] + info["Inactive(file)"] + info.get("SReclaimable", 0)
        return Sample(time.monotonic(), free / MIB)

    def occupants(self) -> list[Occupant]:
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "name", "memory_info"]):
            memory = process.info["memory_info"]
            if memory is not None and memory.rss > 200 * MIB and process.info["pid"] != os.getpid():
                command = " ".join(process.info["cmdline"] or [process.info["name"]])
                pid = process.info["pid"]
                found.append(Occupant(pid, command, memory.rss / MIB, _unit(pid)))
        return sorted(found, key=lambda o: -(o.mib or 0))

    def held_mib(self, pid: int) -> float | None:
        """Memory that only this process and those below it hold."""
        try:
            root = psutil.Process(pid)
            return sum(p.memory_full_info().uss for p in (root, *root.children(recursive=True))) / MIB
        except psutil.Error:
            return None


class NvidiaGpu:
    """One NVIDIA GPU or MIG slice through NVML."""

    def __init__(self, name: str) -> None:
        try:
            pynvml.nvmlInit()
            if name == "cuda" or name.isdigit():
                self._handle = pynvml.nvmlDeviceGetHandleByIndex(int(name) if name.isdigit() else 0)
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
        visible = uuid if uuid.startswith("MIG") else str(pynvml.nvmlDeviceGetIndex(self._handle))
        self.server_env: Mapping[str, str] = {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_VISIBLE_DEVICES": visible,
        }

    def _usable_mib(self) -> float:
        """The total that CUDA knows, and so vLLM's share is of: without what the driver keeps for itself."""
        try:
            info = pynvml.nvmlDeviceGetMemoryInfo(self._handle, version=pynvml.nvmlMemory_v2)
            return float(info.total - info.reserved) / MIB
        except pynvml.NVMLError:  # a driver that does not tell
            return float(pynvml.nvmlDeviceGetMemoryInfo(self._handle).total) / MIB

    def sample(self) -> Sample:
        free = pynvml.nvmlDeviceGetMemoryInfo(self._handle).free / MIB
        try:
            busy: float | None = float(pynvml.nvmlDeviceGetUtilizationRates(self._handle).gpu)
            power: float | None = pynvml.nvmlDeviceGetPowerUsage(self._handle) / 1000.0
        except pynvml.NVMLError:
            busy = power = None  # a MIG slice tells neither
        return Sample(time.monotonic(), free, busy, power)

    def occupants(self) -> list[Occupant]:
        running = [
            *pynvml.nvmlDeviceGetComputeRunningProcesses(self._handle),
            *pynvml.nvmlDeviceGetGraphicsRunningProcesses(self._handle),
        ]
        held = {p.pid: None if p.usedGpuMemory is None else p.usedGpuMemory / MIB for p in running}
        return [Occupant(pid, _command(pid), mib, _unit(pid)) for pid, mib in held.items()]

    def held_mib(self, pid: int) -> float | None:  # noqa: ARG002
        """None: inside containers NVML knows other process ids, or none; the change in free memory tells."""
        return None


def _command(pid: int) -> str:
    try:
        return " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return "?"  # another container's process, or ended


def _unit(pid: int) -> str | None:
    try:
        found = re.findall(r"([\w@.\\-]+\.service)", Path(f"/proc/{pid}/cgroup").read_text())
    except OSError:
        return None
    return found[-1] if found else None


@dataclass(slots=True)
class Watch:
    """Samples taken so far, oldest first."""

    samples: list[Sample] = field(default_factory=list)

    def since(self, at_s: float) -> list[Sample]:
        """The samples from this moment of the monotonic clock on."""
        return [s for s in self.samples if s.at_s >= at_s]


@contextmanager
def watching(device: Device) -> Iterator[Watch]:
    """Sample the device at 20 Hz or faster in a thread for as long as the block lasts."""
    watch, stop = Watch(), threading.Event()

    def run() -> None:
        while not stop.is_set():
            watch.samples.append(device.sample())
            stop.wait(SAMPLE_S)

    thread = threading.Thread(target=run, name="device watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()
