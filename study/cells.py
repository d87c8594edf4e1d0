"""One cell a configuration: every launch of it, with mean and standard error. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from objectives.allocation import Allocation
from objectives.servers.memory_budget import speech_key
from study.spec.model import Spec
from study.storage.context import Question
from study.storage.trials import Row
from study.wording import CONSTRAINTS, WORD_GATES


@dataclass(frozen=True, slots=True)
class Cell:
    """A configuration and its launches: those that gave a measurement, and those that failed."""

    allocation: Allocation
    measured: tuple[Row, ...]
    failed: tuple[Row, ...]

    @property
    def fitness(self) -> float | None:
        """Mean fitness of the launches that gave a measurement; None where none did."""
        return fmean(self.scores) if self.measured else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of that mean; None below two launches, where nothing is known of the noise."""
        if len(self.measured) < 2:
            return None
        return stdev(self.scores) / math.sqrt(len(self.measured))

    @property
    def scores(self) -> list[float]:
        """The fitness of every launch that gave a measurement."""
        return [r.fitness or 0.0 for r in self.measured]

    @property
    def is_feasible(self) -> bool:
        """Whether every launch worked and met every constraint."""
        return bool(self.measured) and not self.failed and all(r.is_feasible for r in self.measured)

    def values(self, name: str) -> list[float]:
        """A figure of `Measurement` in every launch that measured it."""
        found = [getattr(r.measurement, name) for r in self.measured]
        return [float(v) for v in found if v is not None]

    def figure(self, name: str) -> float | None:
        """The mean of a figure of `Measurement`; None where no launch measured it."""
        known = self.values(name)
        return fmean(known) if known else None

    @property
    def is_lower_bound(self) -> bool:
        """Whether the capacity of some launch is only known to be at least what is said."""
        return any(r.measurement is not None and r.measurement.capacity_is_lower_bound for r in self.measured)


def cells(rows: Iterable[Row]) -> list[Cell]:
    """Every configuration, in the order of its first launch; told repeats are no launches."""
    found: dict[str, list[Row]] = {}
    for r in rows:
        if r.counts and r.repeat_of is None:
            found.setdefault(str(r.allocation), []).append(r)
    return [
        Cell(
            launches[0].allocation,
            tuple(r for r in launches if r.measurement is not None),
            tuple(r for r in launches if r.measurement is None),
        )
        for launches in found.values()
    ]


def of(allocation: Allocation, found: Iterable[Cell]) -> Cell | None:
    """The cell of a configuration; None where it was never launched."""
    return next((c for c in found if str(c.allocation) == str(allocation)), None)


def launches(c: Cell) -> str:
    """How often a configuration was measured, with the standard error where there is one."""
    n = len(c.measured)
    return "1 launch" if n == 1 else f"± {c.standard_error or 0.0:.3f}, {n} launches"


def barred(c: Cell, asked: Spec | Question) -> str | None:
    """Why a configuration may not be promoted whatever its score; None where nothing stands against it."""
    if speech_key(c.allocation) != speech_key(asked.baseline):
        for r in c.measured:
            if r.word_gate != "pass":
                return f"the words it understands: {WORD_GATES.get(r.word_gate, r.word_gate)}"
    if any(r.measurement and r.measurement.lag_exceeded for r in c.measured):
        return "our own requests left late while it was measured"
    return None


def over(measured: Sequence[Row]) -> list[str]:
    """The limits that any of these launches went over, in words."""
    passed = [k for r in measured for k, v in r.constraints.items() if v > 0]
    return [CONSTRAINTS.get(k, k) for k in dict.fromkeys(passed)]


# names for people, in the order of `_objectives`
OBJECTIVES = ("speech p95", "LLM p95", "sessions", "free memory up to the headroom")


def _objectives(c: Cell, headroom_mib: float) -> tuple[float | None, ...]:
    """Figures of which less is better; free memory beyond the headroom is worth no more."""
    sessions, free_mib = c.figure("concurrent_capacity"), c.figure("free_memory_mib")
    return (
        c.figure("stt_latency_p95_ms"),
        c.figure("llm_latency_p95_ms"),
        None if sessions is None else -sessions,
        None if free_mib is None else -min(free_mib, headroom_mib),
    )


def _eligible(found: Sequence[Cell], asked: Question) -> list[Cell]:
    return [c for c in found if c.is_feasible and barred(c, asked) is None]


def pareto(found: Sequence[Cell], asked: Question) -> list[Cell]:
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


def compared(found: Sequence[Cell], asked: Question) -> list[str]:
    """What `pareto` compares: the figures that all of them have."""
    eligible = _eligible(found, asked)
    values = [_objectives(c, asked.fitness.headroom_mib) for c in eligible]
    names = [name for i, name in enumerate(OBJECTIVES) if values and all(v[i] is not None for v in values)]
    bounds = any(c.is_lower_bound for c in eligible)
    return [f"{name} (some are lower bounds)" if bounds and name == "sessions" else name for name in names]
