"""The range of a study's ramps is the same for all its launches, so that they can be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from objectives.capacity.ramp_capacity import ENOUGH_TURNS
from objectives.capacity.ramp_rate import RampRate

BEGIN = 0.25  # of the capacity that is expected: where a ramp begins
LEAST_PER_S = 0.001  # no ramp begins lower, or its first turn would not come
TWICE = math.log2(2 / BEGIN)  # doublings from there to twice that capacity
DOUBLINGS = 8.0  # at most: from a quarter of the capacity that is expected to 64 times it


def is_ramp_too_short(ramp_s: float, doubling_s: float) -> bool:
    """Return whether no ramp that doubles so fast reaches twice the capacity in this time.

    A ramp of 0 s is none, and not too short.

    >>> is_ramp_too_short(74.0, 25.0), is_ramp_too_short(75.0, 25.0), is_ramp_too_short(0.0, 25.0)
    (True, False, False)
    """
    return 0 < ramp_s < TWICE * doubling_s


@dataclass(frozen=True, slots=True)
class RampRange:
    """A ramp range says where a ramp begins and how fast it grows.

    Args:
        first_per_s: The rate at which it begins, turns/s.
        doubling_s: The time in which the rate doubles, seconds.
    """

    first_per_s: float
    doubling_s: float

    @classmethod
    def around(cls, capacity_per_s: float, doubling_s: float, ramp_s: float) -> Self:
        """Return the range of ramps that begin at a quarter of a capacity.

        Where too few turns would lie below that capacity it grows slower, as long as it reaches
        twice the capacity within `ramp_s`.

        Args:
            capacity_per_s: The capacity of the baseline, turns/s.
            doubling_s: The time in which the rate doubles at least, seconds.
            ramp_s: The longest time up to twice the capacity, seconds.

        >>> RampRange.around(8.0, doubling_s=25.0, ramp_s=120.0)
        RampRange(first_per_s=2.0, doubling_s=25.0)
        >>> RampRange.around(4.0, 25.0, 120.0).doubling_s, RampRange.around(1.0, 25.0, 120.0)
        (34.66, RampRange(first_per_s=0.25, doubling_s=40.0))
        """
        enough_s = ENOUGH_TURNS * math.log(2) / ((1 - BEGIN) * capacity_per_s)
        slowest_s = max(doubling_s, ramp_s / TWICE)
        return cls.below(capacity_per_s, round(min(max(doubling_s, enough_s), slowest_s), 2))

    @classmethod
    def below(cls, capacity_per_s: float, doubling_s: float) -> Self:
        """Return the range of ramps that begin at a quarter of a capacity and grow as told.

        >>> RampRange.below(8.0, doubling_s=25.0)
        RampRange(first_per_s=2.0, doubling_s=25.0)
        """
        return cls(max(LEAST_PER_S, round(BEGIN * capacity_per_s, 4)), doubling_s)

    @property
    def rate(self) -> RampRate:
        """Return the rate of the longest ramp in this range."""
        ramp_s = DOUBLINGS * self.doubling_s
        return RampRate.doubling(self.first_per_s, every_s=self.doubling_s, ramp_s=ramp_s)

    def to_json(self) -> dict[str, float]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        return cls(data["first_per_s"], data["doubling_s"])
