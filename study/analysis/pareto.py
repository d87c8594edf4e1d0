"""NEW MODULE."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.figures import FIGURES
from study.analysis.configurations import Cell
from study.analysis.eligibility import barred
from study.storage.context import StudyContext

# names for people, in the order of `_objectives`
OBJECTIVES = (
    *(
        FIGURES[n].short
        for n in ("stt_latency_p95_ms", "llm_latency_p95_ms", "concurrent_capacity")
    ),
    "free memory up to the headroom",
)


def _objectives(c: Cell, headroom_mib: float) -> tuple[float | None, ...]:
    """Figures of which less is better; free memory beyond the headroom is worth no more."""
    sessions, free_mib = c.figure("concurrent_capacity"), c.figure("free_memory_mib")
    return (
        c.figure("stt_latency_p95_ms"),
        c.figure("llm_latency_p95_ms"),
        None if sessions is None else -sessions,
        None if free_mib is None else -min(free_mib, headroom_mib),
    )


def _eligible(found: Sequence[Cell], asked: StudyContext) -> list[Cell]:
    return [c for c in found if c.is_feasible and barred(c, asked) is None]


def pareto(found: Sequence[Cell], asked: StudyContext) -> list[Cell]:
    """Those that may be promoted and that no other one beats in everything: the sensible choices whatever the weights.

    A figure that one of them lacks is left out for all, see `compared`.
    """
    feasible = _eligible(found, asked)
    values = {id(c): _objectives(c, asked.fitness.headroom_mib) for c in feasible}
    kept = [i for i in range(len(OBJECTIVES)) if all(v[i] is not None for v in values.values())]

    def beats(a: Cell, b: Cell) -> bool:
        pairs = [(values[id(a)][i] or 0.0, values[id(b)][i] or 0.0) for i in kept]
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    return [c for c in feasible if not any(beats(other, c) for other in feasible)]


def compared(found: Sequence[Cell], asked: StudyContext) -> list[str]:
    """What `pareto` compares: the figures that all of them have."""
    eligible = _eligible(found, asked)
    values = [_objectives(c, asked.fitness.headroom_mib) for c in eligible]
    names = [
        name
        for i, name in enumerate(OBJECTIVES)
        if values and all(v[i] is not None for v in values)
    ]
    bounds = any(c.is_lower_bound for c in eligible)
    return [
        f"{name} (some are lower bounds)" if bounds and name == "sessions" else name
        for name in names
    ]
