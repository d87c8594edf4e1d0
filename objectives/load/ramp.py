"""A ramp sends turns at a rising rate until it is broken beyond doubt. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from objectives.capacity.breaking_point import breaking_point
from objectives.capacity.ramp_capacity import COMPLETION_WINDOW_S
from objectives.capacity.ramp_rate import RampRate


def turn_times(rate: RampRate, seed: int) -> tuple[float, ...]:
    """Return the arrivals of a Poisson process with this rate, seconds from the ramp's start.

    The k-th turn of a seed arrives at the same expected count in every ramp, so that ramps that
    begin at other rates meet the same gusts.

    >>> times_s = turn_times(RampRate.doubling(1.0, every_s=25.0, ramp_s=100.0), seed=1)
    >>> times_s == turn_times(RampRate.doubling(1.0, every_s=25.0, ramp_s=100.0), seed=1)
    True
    """
    rng = np.random.default_rng([seed, 3])  # 0 to 2 are the streams of the window and its prompts
    times_s: list[float] = []
    count = rng.exponential()
    while count < rate.turns:
        times_s.append(round(rate.time_of(count), 6))
        count += rng.exponential()
    return tuple(times_s)


def is_broken_beyond_doubt(
    rate: RampRate, times_s: Sequence[float], good: Sequence[bool | None], now_s: float
) -> bool:
    """Return whether a running ramp may end: no turn to come can move its breaking point.

    That is so once the breaking point would be the same were every open turn good, and were every
    open turn bad. Then 20 s of arrivals follow, in which completions are counted.

    Args:
        rate: The rate of the ramp.
        times_s: The time of each turn of the whole ramp, seconds, in order.
        good: Whether each turn was good; None where it has not ended, or is yet to come.
        now_s: The time now, seconds from the ramp's start.
    """
    rates = [rate.at(t) for t in times_s]
    best = breaking_point(rates, [g is not False for g in good])
    worst = breaking_point(rates, [g is True for g in good])
    if best != worst or worst.turns_below == len(times_s):
        return False
    return now_s >= times_s[worst.turns_below] + COMPLETION_WINDOW_S
