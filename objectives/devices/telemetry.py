"""What the samples of a device say: memory and telemetry over a window, and memory second by second. Pure."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from objectives.devices.device import Device, Sample


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who holds the device's memory at one moment, MiB.

    held_mib: tenants and servers by name; others_mib: what was in use beside the tenants before any server ran
    """

    total_mib: float
    free_mib: float
    held_mib: Mapping[str, float]
    others_mib: float = 0.0


def memory(samples: Sequence[Sample], total_mib: float, held_mib: float) -> dict[str, Any]:
    """Memory and telemetry over the window; `held_mib` is what tenants and the system held before it."""
    if not samples:
        return {}
    used_mib = total_mib - sum(s.free_mib for s in samples) / len(samples)
    busy = [s.busy_pct for s in samples if s.busy_pct is not None]
    power = [s.power_w for s in samples if s.power_w is not None]
    return {
        "window_s": samples[-1].at_s - samples[0].at_s,
        "gpu_utilization_pct": 100.0 * used_mib / total_mib,
        "free_memory_mib": min(s.free_mib for s in samples),
        "own_memory_pct": 100.0 * max(0.0, used_mib - held_mib) / max(1.0, total_mib - held_mib),
        "gpu_busy_pct": sum(busy) / len(busy) if busy else None,
        "gpu_power_w": sum(power) / len(power) if power else None,
    }


def used_by_second(samples: Sequence[Sample], total_mib: float) -> tuple[int, ...]:
    """The most memory in use in each second since the first sample, MiB.

    >>> used_by_second([Sample(5.0, 900.0), Sample(5.5, 700.0), Sample(6.1, 800.0)], 1000.0)
    (300, 200)
    """
    peaks: dict[int, float] = {}
    for s in samples:
        second = int(s.at_s - samples[0].at_s)
        peaks[second] = max(peaks.get(second, 0.0), total_mib - s.free_mib)
    return tuple(round(peaks[second]) for second in sorted(peaks))


SAMPLE_S = 0.04


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
