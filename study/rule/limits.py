"""This module holds the winner against the owner's limits; pure.

A figure passes if one more launch of the winner would very likely be inside its limit and at most
twice the baseline's, or if it is shown to be no worse by 10 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from objectives.figures import Direction
from study.rule.intervals import (
    Interval,
    geometric_mean,
    interval,
    logarithms,
    next_launch_bound,
)
from study.rule.pairs import LOST, Arms, Key, known
from study.rule.rule import Rule

NO_WORSE = math.log(1.10)
AT_MOST = 2.0  # times the baseline's


class LimitStanding(StrEnum):
    """A standing says how the winner stands to a limit."""

    INSIDE = "inside"
    NO_WORSE = "no_worse"
    BROKEN = "broken"
    CANNOT_TELL = "cannot_tell"
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True)
class LimitFinding:
    """A finding says how the winner stands to one limit under one workload.

    Args:
        workload: The name of the workload.
        figure: The flat name of the figure.
        limit_ms: The limit, ms.
        standing: How the winner stands to it.
        baseline_ms: The geometric mean of the baseline's launches, ms; None where one lacks it.
        next_launch_ms: The upper 95 % bound of one more launch of the winner, ms.
        gain: The winner's gain, a log-ratio; None where fewer than two pairs have one.
    """

    workload: str
    figure: str
    limit_ms: float
    standing: LimitStanding
    baseline_ms: float | None = None
    next_launch_ms: float = math.inf
    gain: Interval | None = None

    @property
    def is_met(self) -> bool:
        """Return whether the winner passes it."""
        return self.standing in (LimitStanding.INSIDE, LimitStanding.NO_WORSE)


def limit_findings(
    figures: Mapping[Key, Arms], rule: Rule, level: float
) -> tuple[LimitFinding, ...]:
    """Return a finding for each limit under each workload that has the figure.

    The study's own workload must have it.

    Args:
        figures: The pairs so far.
        rule: What was fixed before.
        level: The confidence of the intervals; a broken limit is corrected for their number.
    """
    keys = [(w, f) for w in rule.workloads for f in rule.limits]
    return tuple(_findings(keys, figures, rule, level))


def _findings(
    keys: list[Key], figures: Mapping[Key, Arms], rule: Rule, level: float
) -> Iterator[LimitFinding]:
    strict = 1 - (1 - level) / max(1, len(keys))
    for workload, figure in keys:
        arms, limit_ms = figures.get((workload, figure)), rule.limits[figure]
        if arms is not None and arms.is_measured and rule.is_alone:
            yield _finding_alone(workload, figure, limit_ms, arms)
        elif arms is not None and arms.is_measured:
            yield limit_finding(workload, figure, limit_ms, arms, level, strict)
        elif workload == rule.main:
            yield LimitFinding(workload, figure, limit_ms, LimitStanding.NOT_MEASURED)


def _finding_alone(workload: str, figure: str, limit_ms: float, arms: Arms) -> LimitFinding:
    """Return how the winner stands to a limit that nothing in use meets, since nothing works.

    Outside of it, it is no worse than that; whoever reads it is told.
    """
    values = [v for v in (*arms.baseline, *arms.winner) if v is not None and math.isfinite(v)]
    if len(values) < 2 * len(arms.winner):
        return LimitFinding(workload, figure, limit_ms, LimitStanding.CANNOT_TELL)
    next_ms = next_launch_bound(values)
    is_inside = next_ms <= limit_ms
    standing = LimitStanding.INSIDE if is_inside else LimitStanding.NO_WORSE
    return LimitFinding(workload, figure, limit_ms, standing, None, next_ms)


def limit_finding(
    workload: str, figure: str, limit_ms: float, arms: Arms, level: float, strict: float
) -> LimitFinding:
    """Return how the winner stands to one limit.

    Args:
        workload: The name of the workload.
        figure: The flat name of the figure.
        limit_ms: The limit, ms.
        arms: The figure in all pairs.
        level: The confidence of the interval that shows it no worse.
        strict: The confidence of the interval that shows the limit broken.
    """
    old = [v for v in arms.baseline if v is not None]
    new = [v for v in arms.winner if v is not None]
    gains = arms.gains(Direction.DOWN)
    gain = interval(known(gains), level)
    baseline_ms = geometric_mean(old) if len(old) == len(arms.baseline) else None
    next_ms = next_launch_bound(new) if len(new) == len(arms.winner) else math.inf
    if baseline_ms is None:
        standing = LimitStanding.NOT_MEASURED
    elif baseline_ms <= limit_ms and next_ms <= min(limit_ms, AT_MOST * baseline_ms):
        standing = LimitStanding.INSIDE
    elif _is_no_worse(gains, gain, new):
        standing = LimitStanding.NO_WORSE
    elif LOST not in gains and _is_broken(limit_ms, baseline_ms, known(gains), new, strict):
        standing = LimitStanding.BROKEN
    else:
        standing = LimitStanding.CANNOT_TELL
    return LimitFinding(workload, figure, limit_ms, standing, baseline_ms, next_ms, gain)


def is_missed(limit_ms: float, baseline: Sequence[float], launches: Sequence[float]) -> bool:
    """Return whether launches too few for an interval miss a limit, by their mean.

    They meet it as in `limit_finding`: inside it and at most twice the baseline's, where that is
    inside too, or no worse than that by 10 %. What was not measured misses nothing.

    >>> is_missed(100.0, [35.0], [52.0]), is_missed(100.0, [35.0], [80.0])
    (False, True)
    >>> is_missed(100.0, [120.0], [125.0]), is_missed(100.0, [120.0], [150.0])
    (False, True)
    """
    if not baseline or not launches:
        return False
    old_ms, new_ms = geometric_mean(baseline), geometric_mean(launches)
    is_inside = old_ms <= limit_ms and new_ms <= min(limit_ms, AT_MOST * old_ms)
    return not is_inside and new_ms > old_ms * math.exp(NO_WORSE)


def _is_no_worse(gains: tuple[float | None, ...], gain: Interval | None, new: list[float]) -> bool:
    if LOST in gains:
        return False
    if not known(gains):  # the baseline failed in every pair, which is worse than any figure
        return len(new) == len(gains) and math.isfinite(geometric_mean(new))
    return gain is not None and gain.low > -NO_WORSE


def _is_broken(
    limit_ms: float, baseline_ms: float, gains: list[float], new: list[float], strict: float
) -> bool:
    gain = interval(gains, strict)
    if gain is None or not math.isfinite(geometric_mean(new)):
        return False
    if baseline_ms > limit_ms:
        return gain.high < -NO_WORSE
    level_ms = interval(logarithms(new), strict)
    is_outside = level_ms is not None and level_ms.low > math.log(limit_ms)
    return (is_outside and gain.high < 0) or gain.high < -math.log(AT_MOST)
