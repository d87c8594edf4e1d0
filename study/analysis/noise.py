"""The noise of one launch, pooled over everything that was launched more than once. Pure.

Welch's interval is by hand, since `scipy.stats.ttest_ind` gives the same one after half a second of importing, at the
end of every command, and warns where all agree; Student's t is `scipy.special`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from study.analysis.configurations import Configuration

FITNESS, SESSIONS = "fitness", "concurrent_capacity"


def pooled(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Variance of one figure around the mean of its group, and its degrees of freedom; 0 and 0 where none repeats.

    groups: the figures of each configuration; one figure tells nothing

    >>> pooled([[9.0, 11.0], [20.0], [30.0, 30.0, 33.0]])
    (2.6666666666666665, 3)
    """
    again = [of for of in groups if len(of) > 1]
    freedom = sum(len(of) - 1 for of in again)
    return (
        sum(variance(of) * (len(of) - 1) for of in again) / freedom if freedom else 0.0
    ), freedom


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: p values that may each be held against 5 %. By hand: statsmodels is an extra, scipy has none.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, p_values[at] * (len(p_values) - rank)))
        corrected[at] = worst
    return corrected


LEAST_POOLED = 4  # degrees of freedom: with fewer, what was launched again elsewhere says little of the noise here
FEW = 4  # launches: with fewer, their own spread says less of their noise than that of all that was launched again


def noise_of(
    name: str, today: Configuration, other: Configuration, found: Sequence[Configuration]
) -> float | None:
    """Up to which difference of a figure of `Measurement`, or of the fitness, noise could explain it; None: not known.

    found: all that was measured: where one of the two was launched a few times only, the repeats of all that works
        tell the noise, if there are enough of them
    """
    a, b = _figures(name, today), _figures(name, other)
    if not (a and b and math.isfinite(sum(a) + sum(b))):
        return None
    known = [
        _figures(name, c)
        for c in found
        if c.is_feasible and not (name == SESSIONS and c.is_lower_bound)
    ]
    pooled = None
    if min(len(a), len(b)) < FEW:
        pooled = pooled_half_width(a, b, known, is_time=name.endswith("_ms"))
    return pooled if pooled is not None or min(len(a), len(b)) < 2 else half_width(a, b)


def is_noise(
    name: str, today: Configuration, other: Configuration, found: Sequence[Configuration]
) -> bool | None:
    """Whether noise alone could explain the difference in a figure, see `noise_of`; None where that is not known."""
    half = noise_of(name, today, other, found)
    return (
        None
        if half is None
        else abs(fmean(_figures(name, other)) - fmean(_figures(name, today))) <= half
    )


def _figures(name: str, c: Configuration) -> list[float]:
    return c.values(name)


def half_width(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the difference of two means of two values or more, by Welch.

    None where all agree to the digit: that tells how a figure was rounded, not how it varies.

    >>> half_width([1.0, 1.0], [2.0, 2.0]), round(half_width([1.0, 1.2], [2.0, 2.2]), 3)
    (None, 0.608)
    """
    squares = [variance(x, fmean(x)) / len(x) for x in (a, b)]
    if sum(squares) == 0:
        return None
    spread = sum(s**2 / (len(x) - 1) for s, x in zip(squares, (a, b), strict=True))
    return _quantile(sum(squares) ** 2 / spread) * math.sqrt(sum(squares))


def pooled_half_width(
    a: Sequence[float], b: Sequence[float], everything: Sequence[Sequence[float]], *, is_time: bool
) -> float | None:
    """The same by the noise of everything that was launched again; None where too little was, or all of it agrees.

    It takes one standard deviation for all; of a time, for all of it relative to its mean, as far as a mean goes.

    >>> again = [[9.0, 11.0], [19.0, 21.0], [29.0, 31.0], [39.0, 41.0]]
    >>> round(pooled_half_width([10.0], [20.0], again, is_time=False), 2)  # 2.776 x sqrt(2) x sqrt(1 + 1)
    5.55
    >>> pooled_half_width([10.0], [20.0], again[:3], is_time=False)
    """
    known = [of for of in everything if len(of) > 1 and math.isfinite(sum(of))]
    if is_time:
        known = [[x / fmean(of) for x in of] for of in known if fmean(of) > 0]
    spread, freedom = pooled(known)
    if freedom < LEAST_POOLED or spread == 0:
        return None
    one = sum((fmean(x) ** 2 if is_time else 1.0) / len(x) for x in (a, b))
    return _quantile(freedom) * math.sqrt(spread * one)


def _quantile(freedom: float) -> float:
    """Student's t for a two-sided 95 % interval."""
    from scipy.special import stdtrit  # noqa: PLC0415  `--help` of every command would wait for it

    return float(stdtrit(freedom, 0.975))
