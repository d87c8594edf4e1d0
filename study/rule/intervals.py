"""These intervals are Student's t, of log-ratios and of the logarithm of a figure; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from study.rule.student_t import t_quantile

LEAST = 1e-6  # in place of 0, which has no logarithm


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval is two-sided, around a mean of log-ratios or of logarithms.

    Args:
        n: How many values there are.
        mean: Their mean.
        low: The lower end.
        high: The upper end.
    """

    n: int
    mean: float
    low: float
    high: float


def interval(values: Sequence[float], confidence: float) -> Interval | None:
    """Return the mean of finite values with its interval; None for fewer than two.

    >>> gain = interval([0.08, 0.10, 0.12], 0.95)
    >>> round(gain.mean, 3), round(gain.low, 3), round(gain.high, 3)
    (0.1, 0.05, 0.15)
    """
    n = len(values)
    if n < 2:
        return None
    mean, deviation = _moments(values)
    arm = t_quantile(n - 1, confidence) * deviation / math.sqrt(n)
    return Interval(n, mean, mean - arm, mean + arm)


def logarithms(values: Sequence[float]) -> list[float]:
    """Return the natural logarithms of finite figures."""
    return [math.log(max(v, LEAST)) for v in values]


def geometric_mean(values: Sequence[float]) -> float:
    """Return the geometric mean; infinite where a value is.

    >>> round(geometric_mean([10.0, 40.0])), geometric_mean([10.0, math.inf])
    (20, inf)
    """
    return math.exp(math.fsum(logarithms(values)) / len(values)) if _finite(values) else math.inf


def next_launch_bound(values: Sequence[float], confidence: float = 0.95) -> float:
    """Return what one more launch exceeds with a chance of 1 - `confidence` only.

    It is the upper prediction bound of a normal sample, in logarithms:
    mean + t(confidence, n - 1) s sqrt(1 + 1/n). It is infinite for fewer than two values, and
    where one is infinite.

    >>> round(next_launch_bound([90.0, 100.0, 110.0, 95.0, 105.0, 100.0]), 1)
    116.5
    """
    n = len(values)
    if n < 2 or not _finite(values):
        return math.inf
    mean, deviation = _moments(logarithms(values))
    one_sided = t_quantile(n - 1, 2 * confidence - 1)
    return math.exp(mean + one_sided * deviation * math.sqrt(1 + 1 / n))


def _moments(values: Sequence[float]) -> tuple[float, float]:
    n = len(values)
    mean = math.fsum(values) / n
    return mean, math.sqrt(math.fsum([(v - mean) ** 2 for v in values]) / (n - 1))


def _finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))
