"""The capacity is estimated from the turns of ramps, in turns a second and in users. Pure."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from objectives.capacity.breaking_point import BreakingPoint, breaking_point
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.turns import Turn
from objectives.measurement import GENERATOR

COMPLETION_WINDOW_S = 20.0
ENOUGH_TURNS = 150  # with fewer turns below it, a breaking point says little
SEED_SPREAD = 1.25  # over the root of the turns below: fitted to simulated ramps of 40 seeds
BREAKING_TURNS = 40  # so many from the break on say what broke
NEAR_CAPACITY = 0.7  # from this part of it on, turns take the time that they take at capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class RampCapacity:
    """A capacity is what one ramp shows, or several do together.

    Args:
        turns_per_s: The breaking point, turns/s; None where no rate is good.
        completed_per_s: The highest rate of completed turns in 20 s after the break, turns/s; None
            where the ramp did not break, or is shorter.
        last_pass_per_s: The highest rate that passes, turns/s; None where none does.
        first_fail_per_s: The lowest rate above it, turns/s; None where all pass.
        turns: The number of turns.
        turns_below: The number of turns up to the breaking point.
        bound_by: The limit that broke first, `failed_requests`, or `generator` where none did, or
            nobody waited to see what did.
        turn_s: The mean time of the good turns at 0.7 to 1.0 of the capacity, seconds; None where
            there are none.
    """

    turns_per_s: float | None
    completed_per_s: float | None
    last_pass_per_s: float | None
    first_fail_per_s: float | None
    turns: int
    turns_below: int
    bound_by: str
    turn_s: float | None

    @property
    def capacity_turns_per_s(self) -> float | None:
        """Return the smaller of the breaking point and what was completed, where both are known."""
        return _smaller(self.turns_per_s, self.completed_per_s)

    def concurrent_capacity(self, pause_s: float) -> int | None:
        """Return how many users who pause between turns make that rate, by Little's law."""
        if self.capacity_turns_per_s is None or self.turn_s is None:
            return None
        return math.floor(self.capacity_turns_per_s * (self.turn_s + pause_s))


def ramp_capacity(turns: Sequence[Turn], rate: RampRate) -> RampCapacity:
    """Estimate the capacity from the turns of one ramp.

    Args:
        turns: At least one turn, in the order of their times.
        rate: The rate at which they arrived.
    """
    rates = [rate.at(t.scheduled_s) for t in turns]
    point = breaking_point(rates, [t.is_good for t in turns])
    after = turns[point.turns_below :]
    is_sure = _is_shown(turns, rates, point)
    completed_per_s = (
        _completed_per_s(turns, after[0].scheduled_s, is_sure=is_sure) if after else None
    )
    return RampCapacity(
        turns_per_s=point.last_pass_per_s,
        completed_per_s=completed_per_s,
        last_pass_per_s=point.last_pass_per_s,
        first_fail_per_s=point.first_fail_per_s,
        turns=len(turns),
        turns_below=point.turns_below,
        bound_by=_bound_by(_breaking(after)) if is_sure else GENERATOR,
        turn_s=_turn_s(turns, rates, _smaller(point.last_pass_per_s, completed_per_s)),
    )


def shows_all(turns: Sequence[Turn], rate: RampRate) -> bool:
    """Return whether no answer for which nobody waited could change what a ramp shows.

    That is so where the breaking point is the same were they all good, every turn up to it has
    ended, the completions of the 20 s after it are known, and most turns have missed one limit
    there, whatever the open ones would have.

    Args:
        turns: The turns of the ramp, those that were hung up included, in the order of their times.
        rate: The rate at which they arrived.
    """
    rates = [rate.at(t.scheduled_s) for t in turns]
    return _is_shown(turns, rates, breaking_point(rates, [t.is_good for t in turns]))


def _is_shown(turns: Sequence[Turn], rates: Sequence[float], point: BreakingPoint) -> bool:
    """Return what `shows_all` does, by the rate at which each turn arrived and the break."""
    if not any(t.is_hung_up for t in turns):
        return True
    below, after = turns[: point.turns_below], turns[point.turns_below :]
    if breaking_point(rates, [t.may_be_good for t in turns]) != point or not after:
        return False
    known_s = max((t.end_s for t in turns if t.end_s is not None), default=0.0)
    if known_s < after[0].scheduled_s + COMPLETION_WINDOW_S:
        return False
    breaking = _breaking(after)
    most, second, *_ = (*(n for _, n in _misses(breaking).most_common(2)), 0, 0)
    is_open = sum(t.is_hung_up for t in breaking)
    return (
        not any(t.is_hung_up for t in below)
        and breaking[0].missed != ()
        and (is_open == 0 or most > second + is_open)
    )


def together(ramps: Sequence[RampCapacity]) -> RampCapacity:
    """Return what ramps of one configuration show together: rates are geometric means.

    What one of them does not know is not known. The bracket is the widest, `turns_below` the
    least of any, and `bound_by` that of the ramp with the least capacity.
    """
    lowest = min(ramps, key=lambda r: r.capacity_turns_per_s or 0.0)
    times_s = [r.turn_s for r in ramps if r.turn_s is not None]
    passes = [r.last_pass_per_s for r in ramps if r.last_pass_per_s is not None]
    fails = [r.first_fail_per_s for r in ramps if r.first_fail_per_s is not None]
    return RampCapacity(
        turns_per_s=_geometric_mean([r.turns_per_s for r in ramps]),
        completed_per_s=_geometric_mean([r.completed_per_s for r in ramps]),
        last_pass_per_s=min(passes) if len(passes) == len(ramps) else None,
        first_fail_per_s=max(fails) if len(fails) == len(ramps) else None,
        turns=sum(r.turns for r in ramps),
        turns_below=min(r.turns_below for r in ramps),
        bound_by=lowest.bound_by,
        turn_s=fmean(times_s) if times_s else None,
    )


def seed_spread_pct(turns_below: int) -> float:
    """Return about how far the capacity that a ramp tells moves with the seed of its arrivals.

    It is a standard deviation, percent, of queues whose capacity is known. A launch adds its own,
    which is smaller.

    Args:
        turns_below: The number of turns up to the breaking point, at least 1.

    >>> round(seed_spread_pct(36)), round(seed_spread_pct(144))
    (21, 10)
    """
    return 100.0 * SEED_SPREAD / math.sqrt(turns_below)


def _completed_per_s(turns: Sequence[Turn], break_s: float, *, is_sure: bool) -> float | None:
    """Return the highest rate of completed turns in any 20 s after the break, turns/s.

    The 20 s end before the last arrival, as what is drained afterwards is drained faster. Where
    the ramp broke too late for that, they begin at the break, or end with the last completion.
    Where nobody waited for all that counts, it is what is known of the 20 s after the break.
    """
    ends_s = sorted(t.end_s for t in turns if t.end_s is not None)
    if not is_sure:
        until = bisect_left(ends_s, break_s + COMPLETION_WINDOW_S)
        return (until - bisect_left(ends_s, break_s)) / COMPLETION_WINDOW_S
    last_arrival_s = turns[-1].scheduled_s
    last_s = max([last_arrival_s, *ends_s[-1:]])
    if last_s < COMPLETION_WINDOW_S:
        return None
    break_s = min(break_s, last_s - COMPLETION_WINDOW_S)
    latest_s = max(break_s, last_arrival_s - COMPLETION_WINDOW_S)
    starts_s = [break_s, latest_s, *(e for e in ends_s if break_s <= e <= latest_s)]
    most = max(
        bisect_left(ends_s, s + COMPLETION_WINDOW_S) - bisect_left(ends_s, s) for s in starts_s
    )
    return most / COMPLETION_WINDOW_S


def _breaking(after: Sequence[Turn]) -> Sequence[Turn]:
    """Return the turns that say what broke, of those after the break: the first bad one on."""
    first = next((n for n, t in enumerate(after) if not t.is_good), len(after))
    return after[first : first + BREAKING_TURNS]


def _misses(breaking: Sequence[Turn]) -> Counter[str]:
    return Counter(name for t in breaking for name in t.missed)


def _bound_by(breaking: Sequence[Turn]) -> str:
    """Return what most of them have missed."""
    misses = _misses(breaking).most_common(1)
    return misses[0][0] if misses else GENERATOR


def _turn_s(
    turns: Sequence[Turn], rates: Sequence[float], capacity_per_s: float | None
) -> float | None:
    """Return the mean time of the good turns near the capacity, seconds."""
    if capacity_per_s is None:
        return None
    times_s = [
        t.end_s - t.scheduled_s
        for t, rate in zip(turns, rates, strict=True)
        if NEAR_CAPACITY * capacity_per_s <= rate <= capacity_per_s
        and t.is_good
        and t.end_s is not None
    ]
    return fmean(times_s) if times_s else None


def _smaller(point_per_s: float | None, completed_per_s: float | None) -> float | None:
    if point_per_s is None or completed_per_s is None:
        return point_per_s
    return min(point_per_s, completed_per_s)


def _geometric_mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return math.prod(known) ** (1 / len(known)) if len(known) == len(values) else None
