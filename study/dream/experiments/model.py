"""An experiment is data: what is searched, by which evaluator, for which figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from objectives.figures import Direction
from objectives.plain_data.ranges import Range
from study.dream.experiments.values import Values
from study.spec.choices import SamplerName
from study.spec.foreign_keys import slug
from study.spec.model import Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentBudget:
    """A budget limits one evaluation, one generation, and the whole experiment.

    Args:
        wallclock_sec: The longest time of an evaluation and of a generation, seconds.
        max_candidates: The trials of a generation, where the selector names no population.
        max_generations: The most generations in one cycle.
        allow_gpu: Whether the evaluator sees a GPU.
        memory_mib: What the evaluator and its children may hold together, MiB; None: no limit.
        cpus: The cores that they may use.
        retries: How often a candidate that failed is evaluated again.
        total_sec: The time over all cycles, seconds; None: no limit.
        pausable: Whether an evaluation goes on after a measuring window in which it stood still;
            else it begins anew, since what it timed would be wrong.
    """

    wallclock_sec: Annotated[float, Range(0.1, 1e7)] = 300.0
    max_candidates: Annotated[int, Range(1, 10_000)] = 8
    max_generations: Annotated[int, Range(1, 10_000)] = 4
    allow_gpu: bool = False
    memory_mib: Annotated[float | None, Range(1, 1e9)] = None
    cpus: Annotated[int, Range(1, 10_000)] = 1
    retries: Annotated[int, Range(0, 100)] = 1
    total_sec: Annotated[float | None, Range(0.1, 1e9)] = None
    pausable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluator:
    """An evaluator is a file of the user's own, with what is called in it.

    Args:
        path: The file.
        kind: What of it is called: a class, a factory, or a function.
        symbol: The name of that.
        init_kwargs: What the class or factory is called with.
        python: The interpreter; None for the runner's own.
    """

    path: Path
    kind: Literal["class", "factory", "function"]
    symbol: str
    init_kwargs: Mapping[str, Any] = field(default_factory=dict)
    python: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "symbol": self.symbol,
            "init_kwargs": dict(self.init_kwargs),
            "python": self.python,
        }


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal is a figure that an evaluator measures, and what is wanted of it.

    Args:
        name: Its name in the result.
        canonical: The name that it is mapped to; its own where it is mapped to none.
        direction: Whether more is better; neutral says nothing.
        weight: The weight of its canonical name, 0 or more.
        target: Of a neutral one: the value that it should come near; None: it has no weight.
    """

    name: str
    canonical: str
    direction: Direction
    weight: float
    target: float | None = None

    @property
    def counts(self) -> bool:
        """Say whether it is part of the fitness."""
        return self.weight > 0 and (
            self.direction is not Direction.NEUTRAL or self.target is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment is an entry of the list, whoever measures it.

    Args:
        name: Its name.
        is_enabled: Whether it takes part in a cycle.
        digest: It changes with the entry, and with what of the file holds for it.
        patience: The generations without a better result after which it runs less often.
        max_generations: The most generations in one cycle.
        total_s: The time of its turns over all cycles, seconds; None: no limit.
        notes: Sentences to write to the log.
    """

    name: str
    is_enabled: bool
    digest: str
    patience: int
    max_generations: int
    total_s: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        """Return the name of its files: its own without `spica_`."""
        return slug(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenericExperiment(Experiment):
    """A generic experiment is measured by the user's own evaluator.

    Args:
        values: What is searched.
        evaluator: What measures a candidate.
        budget: What it may use.
        goals: What is wanted.
        selector: The settings of the tournament.
        sampler: The sampler's name.
        seed: The sampler's seed.
        baseline: The candidate in use today, evaluated first; None where none is named.
        device: The GPU that it may use: cuda, an index or a UUID.
        context: What the evaluator is told beside the candidate: `budget` and `run` of the file.
    """

    values: Values
    evaluator: Evaluator
    budget: ExperimentBudget
    goals: tuple[Goal, ...]
    selector: Selector
    sampler: SamplerName
    seed: int
    baseline: Mapping[str, Any] | None
    device: str
    context: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnExperiment(Experiment):
    """Our own experiment is a study of this project: one GPU, shared by its services.

    Args:
        device: The device that it measures on; None where it replays a recording.
        lend_from: The units of systemd that lend it their GPU in its turn.
        max_outage: The longest that they may be without it, as in `--max-outage`.
        caps: What the file's `global_budget` allows of its budget at most, by key.
    """

    device: str | None
    lend_from: tuple[str, ...] = ()
    max_outage: str | None = None
    caps: Mapping[str, float] = field(default_factory=dict)
