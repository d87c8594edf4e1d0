"""Watches what the other tenants of a device hold, for the reserve that a study leaves them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from objectives.devices.device import Device

LOOK_S = 10.0


@dataclass(frozen=True, slots=True)
class Others:
    """What processes of other units held, MiB: least, peak, the largest process at the peak; looks: how many."""

    least_mib: float
    peak_mib: float
    largest: str
    looks: int

    @property
    def reserve_mib(self) -> int:
        """Room for their growth: a study counts what they hold when it starts, which may be the least."""
        return round(self.peak_mib - self.least_mib)


def observe(
    device: Device, own: Callable[[], Collection[int]], for_s: float, tell: Callable[[str], None]
) -> Others | None:
    """Look every 10 s; None where the device does not tell what a process holds.

    own: the processes of the units themselves, which come and go
    """
    least, peak, largest, looks = float("inf"), 0.0, "", 0
    deadline = time.monotonic() + for_s
    while True:
        mine = own()
        others = [o for o in device.occupants() if o.pid not in mine]
        if any(o.mib is None for o in others):
            return None
        held = sum(o.mib or 0.0 for o in others)
        looks, least = looks + 1, min(least, held)
        if held > peak:
            first = max(others, key=lambda o: o.mib or 0.0)
            peak, largest = held, first.unit or first.command[:60]
            tell(f"others hold {held:,.0f} MiB, the most so far; largest: {largest}")
        if time.monotonic() >= deadline:
            return Others(least, peak, largest, looks)
        time.sleep(min(LOOK_S, max(0.0, deadline - time.monotonic())))
