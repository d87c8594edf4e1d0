"""The memory of a device's other tenants is watched here, for the reserve that they need."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from objectives.devices.device import Device

NEIGHBOUR_LOOK_S = 10.0


@dataclass(frozen=True, slots=True)
class Others:
    """Processes of others held this much memory over some looks.

    Args:
        least_mib: The least, MiB.
        peak_mib: The most, MiB.
        largest: The unit or command that held most of that.
        looks: How many looks there were.
    """

    least_mib: float
    peak_mib: float
    largest: str
    looks: int

    @property
    def reserve_mib(self) -> int:
        """Return the room for their growth, MiB.

        A study counts what they hold when it starts, which may be the least.
        """
        return round(self.peak_mib - self.least_mib)


def observe(
    device: Device, own: Callable[[], Collection[int]], for_s: float, tell: Callable[[str], None]
) -> Others | None:
    """Look every 10 s at what others hold; None where the device does not tell.

    Args:
        own: Gives the processes of the units themselves, which come and go.
    """
    least, peak, largest, looks = float("inf"), 0.0, "", 0
    deadline = time.monotonic() + for_s
    while True:
        mine = own()
        others = [o for o in device.occupants() if o.pid not in mine]
        if any(o.mib is None for o in others):
            return None
        held_mib = sum(o.mib or 0.0 for o in others)
        looks, least = looks + 1, min(least, held_mib)
        if held_mib > peak:
            first = max(others, key=lambda o: o.mib or 0.0)
            peak, largest = held_mib, first.unit or first.command[:60]
            tell(f"others hold {held_mib:,.0f} MiB, the most so far; largest: {largest}")
        if time.monotonic() >= deadline:
            return Others(least, peak, largest, looks)
        time.sleep(min(NEIGHBOUR_LOOK_S, max(0.0, deadline - time.monotonic())))
