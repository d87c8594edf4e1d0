"""The host's own memory is the shared device where all servers run on the CPU."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from objectives.devices.device import VISIBLE, Identity, Occupant, Sample, unit_of
from objectives.plain_data.units import MIB

NODE = Path("/sys/devices/system/node/node0/meminfo")


def processor() -> str | None:
    """Return the name of the processor; None where Linux does not tell it."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text("utf-8"))
    return model[1] if model else None


class HostMemory:
    """The host's memory has the same total and free memory here that vLLM on the CPU sees.

    It is touched first: a virtual machine may only then be given what it was promised. Without this
    the total grows while a study runs, and the same share is another size in every trial.

    Args:
        is_shared: Whether it is what a study divides. Beside a GPU it is not, is not touched, and
            is that of all NUMA nodes.
    """

    def __init__(self, *, is_shared: bool = True) -> None:
        self._source = NODE if is_shared and NODE.exists() else Path("/proc/meminfo")
        if is_shared and psutil.virtual_memory().total / MIB > self._total_mib() * 1.02:
            touch = int(
                min(psutil.virtual_memory().available * 0.9, psutil.virtual_memory().total * 0.85)
            )
            script = (
                "import sys; b = bytearray(int(sys.argv[1])); b[::4096] = b'1' * len(b[::4096])"
            )
            with suppress(subprocess.TimeoutExpired):  # hundreds of GiB: the total is what it is
                subprocess.run([sys.executable, "-c", script, str(touch)], check=False, timeout=120)
        product = f"CPU {processor() or platform.machine()} x{os.cpu_count()}"
        self.identity = Identity(product, f"host-{platform.node()}", self._total_mib(), None, None)
        self.compute: float | None = None
        self.server_env: Mapping[str, str] = {VISIBLE: ""}

    def _total_mib(self) -> float:
        total = _meminfo(self._source)["MemTotal"]
        return min(total, _cgroup_limit() or total) / MIB

    def sample(self) -> Sample:
        """Read the free memory, with what the page cache gives back."""
        info = _meminfo(self._source)
        files = info["Active(file)"] + info["Inactive(file)"]
        free = info["MemFree"] + files + info.get("SReclaimable", 0)
        return Sample(time.monotonic(), free / MIB)

    def occupants(self) -> list[Occupant]:
        """Return the other processes above 200 MiB, the largest first."""
        occupants = []
        for process in psutil.process_iter(["pid", "cmdline", "name", "memory_info"]):
            memory = process.info["memory_info"]
            if memory is not None and memory.rss > 200 * MIB and process.info["pid"] != os.getpid():
                command = " ".join(process.info["cmdline"] or [process.info["name"]])
                pid = process.info["pid"]
                occupants.append(Occupant(pid, command, memory.rss / MIB, unit_of(pid)))
        return sorted(occupants, key=lambda o: -(o.mib or 0))

    def held_mib(self, pid: int) -> float | None:
        """Return the MiB that only this process and its descendants hold; None if it ended."""
        try:
            root = psutil.Process(pid)
            return (
                sum(p.memory_full_info().uss for p in (root, *root.children(recursive=True))) / MIB
            )
        except psutil.Error:
            return None


def _meminfo(source: Path) -> dict[str, int]:
    """Read bytes by name, of NUMA node 0 as vLLM's CPU backend does, or of the whole host."""
    sizes = {}
    for line in source.read_text().splitlines():
        if match := re.match(r"(?:Node \d+ )?([\w()]+):\s+(\d+) kB", line):
            sizes[match[1]] = int(match[2]) * 1024
    return sizes


def _cgroup_limit() -> int | None:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            value = int(Path(path).read_text())
        except (OSError, ValueError):
            continue
        return value if value < 1 << 60 else None
    return None
