"""Telemetry samples a device, and turns the samples into figures of memory and load."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from objectives.devices.device import Device, Sample


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Occupancy says who holds the device's memory at one moment.

    Args:
        total_mib: The device's memory, MiB.
        free_mib: What is free of it, MiB.
        held_mib: What tenants and servers hold, MiB by name.
        others_mib: What was in use beside the tenants before any server ran, MiB.
    """

    total_mib: float
    free_mib: float
    held_mib: Mapping[str, float]
    others_mib: float = 0.0


def memory(samples: Sequence[Sample], total_mib: float, held_mib: float) -> dict[str, Any]:
    """Return the figures of memory and telemetry over a window, by their names.

    Args:
        samples: The samples of the window; without any there are no figures.
        total_mib: The device's memory, MiB.
        held_mib: What tenants and the system held before the window, MiB.
    """
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
    """Return the most memory in use in each second since the first sample, MiB.

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
    """A watch keeps the samples taken so far, oldest first.

    Args:
        samples: They are of the device's memory, use and power.
    """

    samples: list[Sample] = field(default_factory=list)

    def since(self, at_s: float) -> list[Sample]:
        """Return the samples from this moment of the monotonic clock on."""
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
