"""Others keep the cores or the GPU busy: how much, and who."""

from __future__ import annotations

import os
import time
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from objectives.devices.device import Device
from objectives.devices.device_set import DeviceSet
from objectives.diagnosis.busy import GPU_PCT, Busy
from objectives.plain_data.masked import masked
from objectives.plain_data.spellable import spellable

LOOK_S = 1.0
SAMPLES = 5  # of a GPU in that time
NAMED_PCT = 10.0  # of one core
DRIVER = "ALLOCATION_STUDY_DRIVER"  # the variable of a lane that holds its driver's process id
MOST_NAMED, MOST_LETTERS = 2, 40


@dataclass(frozen=True, slots=True)
class CpuTime:
    """This is the CPU time up to a moment, seconds.

    Args:
        all_s: Of all cores, also when idle.
        busy_s: Of it, when anybody computed.
        own_s: Of that, when this process computed or what it has started, also what has ended.
    """

    all_s: float
    busy_s: float
    own_s: float

    @classmethod
    def now(cls) -> CpuTime:
        """Return it until now."""
        times = psutil.cpu_times()
        # Linux counts a guest's time in the user's too
        all_s = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        busy_s = all_s - times.idle - getattr(times, "iowait", 0.0)
        return cls(all_s, busy_s, sum(own_s().values()))

    def others_pct(self, until: CpuTime) -> float:
        """Return how busy others kept all cores from here until then, percent of all.

        >>> CpuTime(0.0, 0.0, 0.0).others_pct(CpuTime(20.0, 10.0, 6.0))
        20.0
        """
        others_s = until.busy_s - self.busy_s - (until.own_s - self.own_s)
        return max(0.0, 100.0 * others_s / max(0.01, until.all_s - self.all_s))


def own_s() -> Mapping[int, float]:
    """Return the CPU time of this process and of all below it, by id, seconds.

    In a lane it is that of its driver and so of all lanes, each of which has cores of its own.
    """
    this, by_pid = psutil.Process(), dict[int, float]()
    with suppress(psutil.NoSuchProcess):  # the driver has ended, and this process is about to
        this = psutil.Process(int(os.environ.get(DRIVER, this.pid)))
    ours = [this]
    with suppress(psutil.NoSuchProcess):
        ours += this.children(recursive=True)
    for process in ours:
        with suppress(psutil.Error):
            by_pid[process.pid] = sum(process.cpu_times()[:4])  # with children that have ended
    return by_pid


def look(devices: DeviceSet) -> Busy:
    """Return how busy others keep the cores and the busiest of the devices, in a second."""
    own = own_s()
    others = [p for p in psutil.process_iter() if p.pid not in own]
    for process in others:
        with suppress(psutil.Error):
            process.cpu_percent()
    before, samples = CpuTime.now(), list[list[float | None]]()
    for _ in range(SAMPLES):
        time.sleep(LOOK_S / SAMPLES)  # too short for a Ctrl-C to wait
        samples.append([d.sample().busy_pct for d in devices.values()])
    cpu_pct = before.others_pct(CpuTime.now())
    busiest: tuple[float, Device] | None = None
    for device, seen in zip(devices.values(), zip(*samples, strict=True), strict=True):
        loads_pct = [pct for pct in seen if pct is not None]
        if loads_pct and (busiest is None or median(loads_pct) > busiest[0]):
            busiest = median(loads_pct), device
    if busiest is None:
        return Busy(cpu_pct, None, _on_cpu(others))
    gpu_pct, device = busiest
    return Busy(cpu_pct, gpu_pct, _on_cpu(others), _on_gpu(device, own))


def uses_gpu(devices: DeviceSet) -> bool:
    """Tell whether a GPU is kept busy at this moment, by whomever."""
    return any((d.sample().busy_pct or 0.0) >= GPU_PCT for d in devices.values())


def _on_cpu(others: Sequence[psutil.Process]) -> tuple[str, ...]:
    used = dict[str, float]()
    for process in others:
        with suppress(psutil.Error):
            used[f"{_command(process)} (process {process.pid})"] = process.cpu_percent()
    named = sorted((n for n in used if used[n] >= NAMED_PCT), key=lambda n: -used[n])
    return tuple(named[:MOST_NAMED])


def _command(process: psutil.Process) -> str:
    """Return how a process was started, without the folder of its program and cut."""
    program, *words = process.cmdline() or [process.name()]
    return masked(spellable(" ".join([Path(program).name, *words])))[:MOST_LETTERS]


def _on_gpu(device: Device, own: Container[int]) -> tuple[str, ...]:
    held = sorted(
        (o for o in device.occupants() if o.pid not in own), key=lambda o: -(o.mib or 0.0)
    )
    return tuple(f"{o.command[:MOST_LETTERS]} (process {o.pid})" for o in held[:MOST_NAMED])
