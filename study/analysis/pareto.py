"""Find the Pareto set of a study: its sensible choices, whatever the weights."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.figures import FIGURES
from study.analysis.configurations import Configuration
from study.analysis.eligibility import is_eligible
from study.storage.context import StudyContext

# names for people, in the order of `_objectives`
OBJECTIVES = (
    *(
        FIGURES[n].short
        for n in ("stt_latency_p95_ms", "llm_latency_p95_ms", "concurrent_capacity")
    ),
    "free memory up to the headroom",
)


def pareto(configurations: Sequence[Configuration], context: StudyContext) -> list[Configuration]:
    """Return the eligible configurations that no other one beats in everything.

    A figure that one of them lacks is left out for all, see `compared_figures`.
    """
    eligible = [c for c in configurations if is_eligible(c, context)]
    values = {id(c): _objectives(c, context.fitness.headroom_mib) for c in eligible}
    columns = [n for n in range(len(OBJECTIVES)) if all(v[n] is not None for v in values.values())]

    def beats(a: Configuration, b: Configuration) -> bool:
        pairs = [(values[id(a)][n] or 0.0, values[id(b)][n] or 0.0) for n in columns]
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    return [c for c in eligible if not any(beats(other, c) for other in eligible)]


def compared_figures(configurations: Sequence[Configuration], context: StudyContext) -> list[str]:
    """Name for people the figures that `pareto` compares: those that all of them have."""
    eligible = [c for c in configurations if is_eligible(c, context)]
    values = [_objectives(c, context.fitness.headroom_mib) for c in eligible]
    names = [
        name
        for n, name in enumerate(OBJECTIVES)
        if values and all(v[n] is not None for v in values)
    ]
    bounds = any(c.is_lower_bound for c in eligible)
    return [
        f"{name} (some are lower bounds)" if bounds and name == "sessions" else name
        for name in names
    ]


def _objectives(c: Configuration, headroom_mib: float) -> tuple[float | None, ...]:
    """Return its figures, of which less is better; None where one was not measured.

    Free memory beyond the headroom is worth no more.
    """
    sessions, free_mib = c.mean("concurrent_capacity"), c.mean("free_memory_mib")
    return (
        c.mean("stt_latency_p95_ms"),
        c.mean("llm_latency_p95_ms"),
        None if sessions is None else -sessions,
        None if free_mib is None else -min(free_mib, headroom_mib),
    )
