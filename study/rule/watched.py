"""This module watches every figure that has no limit of its own; pure.

It rejects only what is shown to be worse by more than 10 % and lies outside its limit: a limit on a
p95 covers the median of the same quantity. Capacity and goodput are made of all limits, so that
worse by more than 10 % is enough. All that is shown to be worse is listed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from objectives.figures import CAPACITY, GOODPUT, Direction
from study.rule.intervals import LEAST, Interval, interval, next_launch_bound
from study.rule.limits import NO_WORSE, LimitFinding
from study.rule.pairs import LOST, Arms, Key, known
from study.rule.rule import Rule

MADE_OF_LIMITS = (CAPACITY, GOODPUT)


@dataclass(frozen=True, slots=True)
class WorseFigure:
    """A worse figure is one that is shown to be worse than the baseline's.

    Args:
        workload: The name of the workload.
        figure: The flat name of the figure.
        gain: The gain, a log-ratio; negative.
        rejects: Whether it rules the winner out.
        is_harm: Whether it keeps a winner from being confirmed; its interval is not corrected.
    """

    workload: str
    figure: str
    gain: Interval
    rejects: bool = False
    is_harm: bool = False


def worse_figures(
    figures: Mapping[Key, Arms], limits: tuple[LimitFinding, ...], rule: Rule, level: float
) -> tuple[WorseFigure, ...]:
    """Return what gets worse, figures with a limit first.

    Args:
        figures: The pairs so far.
        limits: What is known of the figures with a limit.
        rule: What was fixed before.
        level: The confidence of the intervals; what rejects is corrected for their number.
    """
    worse = [
        WorseFigure(f.workload, f.figure, f.gain)
        for f in limits
        if f.gain is not None and f.gain.high < 0
    ]
    keys = _keys(figures, rule)
    strict = 1 - (1 - level) / max(1, len(keys))
    for workload, figure in keys:
        arms = figures[workload, figure]
        gains = _finite_gains(arms.against, rule.watched[figure])
        gain = interval(gains, level)
        if gain is None or gain.high >= 0:
            continue
        sure = interval(gains, strict)
        is_worse = sure is not None and sure.high < -NO_WORSE
        is_outside = figure in MADE_OF_LIMITS or _is_outside(
            arms, covering_limit(figure, rule.limits)
        )
        rejects = is_worse and is_outside
        is_harm = figure in MADE_OF_LIMITS and gain.high < -NO_WORSE
        worse.append(WorseFigure(workload, figure, gain, rejects, is_harm))
    return tuple(worse)


def lost_figures(figures: Mapping[Key, Arms], rule: Rule) -> tuple[Key, ...]:
    """Return the watched figures that only the winner lacks in some pair."""
    return tuple(
        key
        for key in _keys(figures, rule)
        if LOST in figures[key].against.gains(rule.watched[key[1]])
    )


def covering_limit(figure: str, limits: Mapping[str, float]) -> float | None:
    """Return the limit of the p95 of the same quantity, ms; None where it has none.

    >>> covering_limit("llm_tpot_ms", {"llm_tpot_p95_ms": 100.0})
    100.0
    """
    return limits.get(f"{figure.removesuffix('_ms')}_p95_ms")


def _keys(figures: Mapping[Key, Arms], rule: Rule) -> list[Key]:
    return [
        (w, f)
        for w in rule.workloads
        for f in rule.watched
        if f not in rule.limits and (w, f) in figures and figures[w, f].against.is_measured
    ]


def _finite_gains(arms: Arms, direction: Direction) -> list[float]:
    """Return the known log-ratios; a capacity or a share of 0 is measured, and the least."""
    if direction is Direction.UP:
        arms = Arms(arms.baseline, tuple(LEAST if v == 0 else v for v in arms.winner))
    return known(arms.gains(direction))


def _is_outside(arms: Arms, limit: float | None) -> bool:
    """Tell whether one more launch may exceed the limit; what has none is never outside."""
    values = [v for v in arms.winner if v is not None]
    return limit is not None and next_launch_bound(values) > limit
