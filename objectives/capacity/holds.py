"""A hold proves a rate: 95 % of the turns that arrive at it, and at no higher one, are good. Pure.

A ramp only ranks: it runs ahead of its queue, so that what it tells cannot be held for long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.capacity.breaking_point import GOOD_SHARE, ROUNDING

FIRST = 0.8  # of the capacity that a ramp told: where the first hold is
LOWER = 0.75  # of the lowest rate that was not held: where the next one is, while none was
MOST = 3


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold is what became of the turns that arrived at one rate.

    Args:
        rate_per_s: The rate, turns/s.
        hold_s: The time for which turns were to arrive, seconds; one that could no longer be won
            ended before.
        turns: The number of turns that arrived.
        good: How many of them met every limit.
    """

    rate_per_s: float
    hold_s: float
    turns: int
    good: int

    @property
    def good_pct(self) -> float | None:
        """Return the share of good turns, percent; None where no turn arrived."""
        return 100.0 * self.good / self.turns if self.turns else None

    @property
    def is_held(self) -> bool:
        """Return whether the rate was held.

        >>> Hold(2.0, 90.0, 180, 171).is_held, Hold(2.0, 90.0, 180, 170).is_held
        (True, False)
        """
        return self.turns > 0 and not is_lost(self.turns, self.turns - self.good)


def is_lost(turns: int, bad: int) -> bool:
    """Return whether so many bad ones among all turns are too many."""
    return bad > (1 - GOOD_SHARE) * turns + ROUNDING


def next_rate(capacity_per_s: float, holds: Sequence[Hold]) -> float | None:
    """Return the rate of the next hold, turns/s; None after the last.

    It lies half way between the highest rate that was held and the lowest that was not, or the
    capacity.

    Args:
        capacity_per_s: What the ramps of this allocation told, turns/s.
        holds: The holds so far.

    >>> next_rate(10.0, []), next_rate(10.0, [Hold(8.0, 90.0, 720, 720)])
    (8.0, 9.0)
    >>> next_rate(10.0, [Hold(8.0, 90.0, 60, 10)])
    6.0
    """
    if len(holds) >= MOST:
        return None
    if not holds:
        return round(FIRST * capacity_per_s, 4)
    lowest = min((h.rate_per_s for h in holds if not h.is_held), default=capacity_per_s)
    proven = proven_hold(holds)
    per_s = LOWER * lowest if proven is None else (proven.rate_per_s + lowest) / 2
    return round(per_s, 4)


def proven_hold(holds: Sequence[Hold]) -> Hold | None:
    """Return the hold at the highest rate that was held; None where none was."""
    return max((h for h in holds if h.is_held), key=lambda h: h.rate_per_s, default=None)
