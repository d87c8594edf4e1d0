"""This module estimates the noise of a launch, pooled over all configurations launched again.

Welch's interval is computed here, since `scipy.stats.ttest_ind` gives the same one after half a
second of importing, at the end of every command, and warns where all values agree; Student's t is
`scipy.special`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from objectives.figures import CAPACITY, figure
from study.analysis.configurations import Configuration
from study.analysis.segment_noise import WithinLaunch, value_of, within_launch
from study.rule.pooled import pooled
from study.rule.student_t import t_quantile

LEAST_POOLED = 4  # degrees of freedom: with fewer, repeats elsewhere say little of the noise here
FEW_LAUNCHES = (
    4  # launches: with fewer, their own spread says less of their noise than that of all repeats
)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values by Holm's method, so that each may be held against 5 %.

    It is computed here, since statsmodels is an extra and scipy has none.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, p_values[at] * (len(p_values) - rank)))
        corrected[at] = worst
    return corrected


def noise_of(
    name: str,
    today: Configuration,
    other: Configuration,
    configurations: Sequence[Configuration],
) -> float | None:
    """Return up to which difference noise could explain it; None where that is not known.

    Args:
        name: A figure of `Measurement`, or the fitness.
        today: The one configuration.
        other: The other one.
        configurations: All that was measured: where one of the two was launched only a few times,
            the repeats of all that works give the noise, if there are enough of them.
    """
    a, b = today.values(name), other.values(name)
    if not (a and b and math.isfinite(sum(a) + sum(b))):
        return None
    works = launched_again(configurations, is_capacity=name == CAPACITY)
    is_time = figure(name).unit == "ms"
    within = within_launch(today, other, works, value_of(name, is_time=is_time))
    groups = [c.values(name) for c in works]
    return half_width_between(a, b, groups, within, is_time=is_time)


def launched_again(
    configurations: Sequence[Configuration], *, is_capacity: bool
) -> list[Configuration]:
    """Return the configurations whose launches tell the noise: several, of one that works.

    Args:
        configurations: All that was measured.
        is_capacity: Whether it is that of a capacity, of which a lower bound tells nothing.
    """
    return [
        c
        for c in configurations
        if len(c.measured) > 1 and c.is_feasible and not (is_capacity and c.is_lower_bound)
    ]


def half_width_between(
    a: Sequence[float],
    b: Sequence[float],
    groups: Sequence[Sequence[float]],
    within: WithinLaunch,
    *,
    is_time: bool = False,
    confidence: float = 0.95,
) -> float | None:
    """Return half of the interval of the difference of two means; None where it is not known.

    Args:
        a: The one's launches.
        b: The other's.
        groups: The launches of every configuration that works: where one of the two was launched
            only a few times, their repeats give the noise, if there are enough of them.
        within: The part of that noise which the segments of launches tell.
        is_time: Whether the noise is relative to the mean.
        confidence: Of the interval.
    """
    fewest, pooled_half = min(len(a), len(b)), None
    if fewest < FEW_LAUNCHES:
        pooled_half = pooled_half_width(
            a, b, groups, within, is_time=is_time, confidence=confidence
        )
    if pooled_half is not None or fewest < 2:
        return pooled_half
    return half_width(a, b, confidence)


def half_width(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> float | None:
    """Return half of Welch's interval of the difference of two means, two values or more each.

    None where all agree to the digit: that shows how a figure was rounded, not how it varies.

    >>> half_width([1.0, 1.0], [2.0, 2.0]), round(half_width([1.0, 1.2], [2.0, 2.2]), 3)
    (None, 0.608)
    """
    squares = [variance(x, fmean(x)) / len(x) for x in (a, b)]
    if sum(squares) == 0:
        return None
    spread = sum(s**2 / (len(x) - 1) for s, x in zip(squares, (a, b), strict=True))
    return t_quantile(sum(squares) ** 2 / spread, confidence) * math.sqrt(sum(squares))


def pooled_half_width(
    a: Sequence[float],
    b: Sequence[float],
    groups: Sequence[Sequence[float]],
    within: WithinLaunch,
    *,
    is_time: bool,
    confidence: float = 0.95,
) -> float | None:
    """Return half of the interval of the difference of two means, by the noise of all repeats.

    One standard deviation holds for all; of a time, for all of it relative to its mean, as far as
    a mean goes. Where segments tell the part of it that is within a launch, each of the two has its
    own there. None where too little was repeated, or all of it agrees.

    >>> repeats = [[9.0, 11.0], [19.0, 21.0], [29.0, 31.0], [39.0, 41.0]]
    >>> half = pooled_half_width([10.0], [20.0], repeats, WithinLaunch(), is_time=False)
    >>> round(half, 2)  # 2.776 x sqrt(2) x sqrt(1 + 1)
    5.55
    >>> pooled_half_width([10.0], [20.0], repeats[:3], WithinLaunch(), is_time=False)
    """
    repeats = [group for group in groups if len(group) > 1 and math.isfinite(sum(group))]
    if is_time:
        repeats = [[x / fmean(group) for x in group] for group in repeats if fmean(group) > 0]
    spread, freedom = pooled(repeats)
    if freedom < LEAST_POOLED or spread == 0:
        return None
    squares = [
        (fmean(x) ** 2 if is_time else 1.0) * own / len(x)
        for x, own in zip((a, b), within.variances(spread), strict=True)
    ]
    return t_quantile(freedom, confidence) * math.sqrt(sum(squares))
