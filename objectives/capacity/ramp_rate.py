"""The rate of a ramp says how many turns a second arrive at each of its times. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Growth = Literal["linear", "geometric"]


@dataclass(frozen=True, slots=True)
class RampRate:
    """The rate of turns rises from the first value to the last.

    Args:
        first_per_s: The rate at the start, turns/s; above 0 where the growth is geometric.
        last_per_s: The rate at the end, turns/s; equal rates make a hold.
        ramp_s: The time between them, seconds.
        growth: Whether equal times add to the rate, or multiply it.

    >>> RampRate(1, 8, 90).at(45), RampRate(1, 4, 60, "geometric").at(30)
    (4.5, 2.0)
    """

    first_per_s: float
    last_per_s: float
    ramp_s: float
    growth: Growth = "linear"

    @classmethod
    def doubling(cls, first_per_s: float, every_s: float, ramp_s: float) -> RampRate:
        """Return a rate that doubles every so many seconds.

        >>> RampRate.doubling(1.0, every_s=30.0, ramp_s=90.0).last_per_s
        8.0
        """
        return cls(first_per_s, first_per_s * 2 ** (ramp_s / every_s), ramp_s, "geometric")

    def at(self, time_s: float) -> float:
        """Return the rate at a time, turns/s; outside the ramp the nearest of it."""
        part = min(max(time_s / self.ramp_s, 0.0), 1.0)
        if self.growth == "geometric":
            growth = math.log(self.last_per_s / self.first_per_s)
            return self.first_per_s * math.exp(growth * part)
        return self.first_per_s + (self.last_per_s - self.first_per_s) * part

    @property
    def turns(self) -> float:
        """Return how many turns the ramp has on average."""
        rise = self.last_per_s - self.first_per_s
        if self.growth == "linear" or rise == 0:
            return self.ramp_s * (self.first_per_s + rise / 2)
        return self.ramp_s * rise / math.log(self.last_per_s / self.first_per_s)

    def time_of(self, turns: float) -> float:
        """Return the time by which so many turns have arrived on average, seconds.

        >>> ramp = RampRate(1, 8, 90)
        >>> ramp.time_of(ramp.turns)
        90.0
        """
        first, rise = self.first_per_s, self.last_per_s - self.first_per_s
        if rise == 0:
            return turns / first
        if self.growth == "linear":
            return (math.sqrt(first**2 + 2 * rise / self.ramp_s * turns) - first) * (
                self.ramp_s / rise
            )
        growth_per_s = math.log(self.last_per_s / first) / self.ramp_s
        return math.log1p(turns * growth_per_s / first) / growth_per_s
