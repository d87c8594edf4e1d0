"""Samples of the device, taken in the background while something is measured."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from objectives.device import Device, Sample

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
