"""What an evaluator returned becomes figures here, and these a score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from objectives.figures import Direction
from study.dream.experiments.model import Goal

NESTED = ("metrics", "components")


def flattened(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result with what is nested under `metrics` and `components` beside the rest.

    What is no number is None, and what is infinite text: JSON has no word for either.

    >>> flattened({"status": "pass", "metrics": {"wer": 0.1, "status": "x", "ms": float("nan")}})
    {'status': 'pass', 'wer': 0.1, 'ms': None}
    """
    flat = {str(k): v for k, v in result.items() if not (k in NESTED and isinstance(v, dict))}
    for name in NESTED:
        inner = result.get(name)
        if isinstance(inner, dict):
            flat = {str(k): v for k, v in inner.items() if k not in flat} | flat
    ordered = [*(k for k in result if k in flat), *(k for k in flat if k not in result)]
    return {k: _finite(flat[k]) for k in ordered}


def _finite(value: Any) -> Any:
    match value:
        case float() if math.isnan(value):
            return None
        case float() if math.isinf(value):
            return str(value)
        case dict():
            return {k: _finite(v) for k, v in value.items()}
        case list():
            return [_finite(v) for v in value]
    return value


def number(value: Any) -> float | None:
    """Return a figure as a finite number; None where it is none.

    >>> number(True), number("3"), number(float("nan"))
    (1.0, None, None)
    """
    try:
        if isinstance(value, bool | int | float) and math.isfinite(value):
            return float(value)
    except OverflowError:
        return None  # a whole number of hundreds of digits
    return None


def missing(figures: Mapping[str, Any], goals: Sequence[Goal]) -> list[str]:
    """Return the goals that a result does not have as a number."""
    return [g.name for g in goals if number(figures.get(g.name)) is None]


def numbers(figures: Mapping[str, Any], goals: Sequence[Goal]) -> dict[str, float]:
    """Return the figures that goals name, as numbers."""
    values = {g.name: number(figures.get(g.name)) for g in goals}
    return {name: value for name, value in values.items() if value is not None}


def gain(goal: Goal, value: float, reference: float) -> float:
    """Return by what share of the reference a figure is better than it.

    A reference of 0 has no share: the difference itself counts then.

    >>> gain(Goal("ms", "ms", Direction.DOWN, 1.0), 80.0, 100.0)
    0.2
    >>> gain(Goal("use", "use", Direction.NEUTRAL, 1.0, target=70.0), 60.0, 90.0)
    0.14285714285714285
    """
    if goal.direction is Direction.NEUTRAL:
        target = goal.target or 0.0
        return (abs(reference - target) - abs(value - target)) / (abs(target) or 1.0)
    difference = value - reference if goal.direction is Direction.UP else reference - value
    return difference / (abs(reference) or 1.0)


def fitness(
    values: Mapping[str, float], reference: Mapping[str, float], goals: Sequence[Goal]
) -> float:
    """Return the weighed mean of the gains over the reference, which is itself worth 0.

    Figures that are mapped to one name are averaged before they are weighed. It is NaN where they
    are too large to add up.
    """
    gains: dict[str, list[float]] = {}
    weights: dict[str, float] = {}
    for goal in goals:
        if goal.counts:
            gains.setdefault(goal.canonical, []).append(
                gain(goal, values[goal.name], reference[goal.name])
            )
            weights[goal.canonical] = goal.weight
    try:
        total = math.fsum(weights.values())
        terms = (weights[n] * math.fsum(g) / len(g) for n, g in gains.items())
        return math.fsum(terms) / total
    except (OverflowError, ValueError):
        return math.nan


def canonical(figures: Mapping[str, Any], goals: Sequence[Goal]) -> dict[str, Any]:
    """Return the figures with those that are mapped under their other name too, averaged."""
    named: dict[str, list[float]] = {}
    for goal in goals:
        value = number(figures.get(goal.name))
        if goal.canonical != goal.name and value is not None:
            named.setdefault(goal.canonical, []).append(value)
    return dict(figures) | {n: math.fsum(v) / len(v) for n, v in named.items()}
