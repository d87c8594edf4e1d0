"""This module finds the Pareto set of a study: its sensible choices, whatever the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.engines.registry import apis_of
from objectives.figures import CAPACITY, Direction, figure, latency_p95_names
from study.analysis.compare import FREE
from study.analysis.configurations import Configuration
from study.analysis.promotion_eligibility import is_eligible
from study.storage.context import StudyContext


@dataclass(frozen=True, slots=True)
class ParetoFigures:
    """The figures that the Pareto set compares.

    Args:
        names: Their flat names.
        has_lower_bounds: Whether some capacities are only lower bounds.
    """

    names: tuple[str, ...]
    has_lower_bounds: bool


def pareto(configurations: Sequence[Configuration], context: StudyContext) -> list[Configuration]:
    """Return the eligible configurations that no other one beats in everything.

    A figure that one of them lacks is left out for all, see `compared_figures`.
    """
    eligible = [c for c in configurations if is_eligible(c, context)]
    names = compared_figures(configurations, context).names
    headroom_mib, best = context.fitness.headroom_mib, list[tuple[float, ...]]()
    costs = {id(c): tuple(_cost(c, n, headroom_mib) for n in names) for c in eligible}
    for cost in sorted(set(costs.values())):  # what beats another stands before it
        if not any(all(x <= y for x, y in zip(other, cost, strict=True)) for other in best):
            best.append(cost)
    unbeaten = set(best)
    return [c for c in eligible if costs[id(c)] in unbeaten]


def compared_figures(
    configurations: Sequence[Configuration], context: StudyContext
) -> ParetoFigures:
    """Return the figures that `pareto` compares: those that all eligible configurations have."""
    eligible = [c for c in configurations if is_eligible(c, context)]
    objectives = (*latency_p95_names(apis_of(context.services)), CAPACITY, FREE)
    names = [
        name for name in objectives if eligible and all(c.mean(name) is not None for c in eligible)
    ]
    return ParetoFigures(tuple(names), any(c.is_lower_bound for c in eligible))


def _cost(configuration: Configuration, name: str, headroom_mib: float) -> float:
    """Return a figure so that less is better; free memory beyond the headroom is worth no more."""
    value = configuration.mean(name) or 0.0
    value = min(value, headroom_mib) if name == FREE else value
    return -value if figure(name).direction is Direction.UP else value
