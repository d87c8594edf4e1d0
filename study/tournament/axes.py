"""This module handles the values of one parameter: their places, draws and moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Signature = tuple[tuple[str, str], ...]

ONE_STEP = 0.7  # how often an ordinal goes to its neighbour rather than anywhere
FINE = 32  # with more values than this, "one step" is a tenth of the range, normally distributed


def signature(config: Mapping[str, Any]) -> Signature:
    """Return what makes two configurations the same.

    >>> signature({"x": 0.45}) == signature({"x": 0.44999999999999996})
    True
    >>> [signature({"x": 1}) == signature({"x": other}) for other in (1.0, True, "1")]
    [True, False, False]
    """
    return tuple(
        (name, f"{v + 0.0:.12g}" if isinstance(v, float) else repr(v))
        for name, v in sorted(config.items())
    )


def levels(distribution: BaseDistribution) -> float:
    """Count the values of one parameter; infinite for a continuous one.

    >>> levels(FloatDistribution(0.4, 0.6, step=0.05)), levels(FloatDistribution(0.4, 0.6))
    (5, inf)
    """
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    axis = _axis(distribution)
    if axis.low == axis.high:
        return 1
    return math.inf if axis.step is None else round((axis.high - axis.low) / axis.step) + 1


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Tell whether a value is in the range, or among the categories."""
    if isinstance(distribution, CategoricalDistribution):
        choices = [signature({"": choice}) for choice in distribution.choices]
        return signature({"": value}) in choices
    return distribution._contains(distribution.to_internal_repr(value))


def coordinate(distribution: BaseDistribution) -> Callable[[Any], float]:
    """Return what gives the place of a value in the range, 0 to 1; of a category, in its list.

    >>> coordinate(IntDistribution(1, 5))(2)
    0.25
    """
    if isinstance(distribution, CategoricalDistribution):
        last = max(len(distribution.choices) - 1, 1)
        return lambda value: place(distribution, value) / last
    axis = _axis(distribution)
    low, high = axis.low, axis.high
    if low == high:
        return lambda _: 0.0
    if not axis.log:
        return lambda value: (min(max(value, low), high) - low) / (high - low)
    first, span = math.log(low), math.log(high) - math.log(low)
    return lambda value: (math.log(min(max(value, low), high)) - first) / span


def _axis(distribution: BaseDistribution) -> IntDistribution | FloatDistribution:
    if isinstance(distribution, (IntDistribution, FloatDistribution)):
        return distribution
    raise TypeError(f"{distribution!r} is no distribution that the tournament knows")


def value_at(distribution: BaseDistribution, position: int) -> Any:
    """Return the value at a place, counted from 0.

    >>> value_at(FloatDistribution(0.3, 0.7, step=0.05), 6)  # 0.3 + 6 * 0.05 is 0.6000000000000001
    0.6
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[position]
    axis = _axis(distribution)
    step = axis.step or 0
    value = axis.low + position * step
    if isinstance(axis, IntDistribution):
        return min(value, axis.high)  # a place in a huge range is rounded
    return _clip(axis, float(f"{value:.12g}") if abs(value) > 1e-9 * step else 0.0)


def place(distribution: BaseDistribution, value: Any) -> int:
    """Return the place of a value, or of the one nearest to it, counted from 0."""
    if isinstance(distribution, CategoricalDistribution):
        return int(distribution.to_internal_repr(value)) if value in distribution.choices else 0
    axis = _axis(distribution)
    return round((_clip(axis, value) - axis.low) / (axis.step or 1))


def nearest(distribution: BaseDistribution, value: Any) -> Any:
    """Return the value of the range that is nearest to a value."""
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        return float(_clip(distribution, value))
    return value_at(distribution, place(distribution, value))


def _clip(axis: IntDistribution | FloatDistribution, value: float) -> float:
    return min(max(value, axis.low), axis.high)


def draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    """Draw a value uniformly; on a logarithmic axis, uniformly in its logarithm."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    axis = _axis(distribution)
    half = (axis.step or 0) / 2  # the two ends are as likely as the others
    if axis.log:
        return nearest(
            axis, math.exp(rng.uniform(math.log(axis.low - half), math.log(axis.high + half)))
        )
    return nearest(axis, rng.uniform(axis.low - half, axis.high + half))


def move(distribution: BaseDistribution, value: Any, rng: np.random.Generator) -> Any:
    """Return another value: an ordinal goes one step or anywhere, a category anywhere."""
    count, category = levels(distribution), isinstance(distribution, CategoricalDistribution)
    one_step = not category and rng.random() < ONE_STEP
    if category or count <= FINE:
        here = place(distribution, value)
        reach = 1 if one_step else count
        there = [other for other in range(int(count)) if 0 < abs(other - here) <= reach]
        return value_at(distribution, there[rng.integers(len(there))])
    if not one_step:
        return draw(distribution, rng)
    axis = _axis(distribution)
    if axis.log:
        return nearest(axis, value * math.exp(rng.normal(0, 0.1) * math.log(axis.high / axis.low)))
    return nearest(axis, value + rng.normal(0, 0.1) * (axis.high - axis.low))
