"""Defines a spec as data: search space, services, workload, budget, gates and fitness rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

from objectives.allocation import Allocation
from objectives.fitness import PRESETS, Preset, Weights
from objectives.plain_data.ranges import Range
from objectives.search_space.space import Space
from objectives.servers.tenants import Tenant
from objectives.services import Services
from objectives.traffic.workload import Workload
from study.spec.choices import MARGIN_PCT, Claim, SamplerName


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits what a study may use: the time of one run, and the trials over all runs."""

    wallclock_sec: Annotated[float, Range(1, 1e7)] = 3600.0
    max_candidates: Annotated[int, Range(1, 10_000)] = 10
    max_generations: Annotated[int, Range(1, 10_000)] = 4
    allow_gpu: bool = True

    @property
    def max_trials(self) -> int:
        """Return the most trials over all runs."""
        return self.max_candidates * self.max_generations


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Holds the settings of the tournament sampler (`study.tournament`)."""

    kind: Literal["rzero"] = "rzero"
    tournament_size: Annotated[int, Range(1, 10_000)] = 4
    survivors: Annotated[int, Range(1, 10_000)] = 2
    elitism: Annotated[int, Range(0, 10_000)] = 1
    fresh_inject: Annotated[int, Range(0, 10_000)] = 1
    population_size: Annotated[int, Range(1, 10_000)] = 5
    n_offspring: Annotated[int, Range(1, 10_000)] = 16
    exhausted: Literal["replicate", "stop"] = "replicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """Says what a winner must keep.

    Args:
        wer_points: The word error rate may exceed the baseline's by so many points.
        free_memory_mib: So much memory must stay free, MiB.
        llm_quality: Set where the search may change the LLM's answers, which nobody judges.
    """

    wer_points: Annotated[float, Range(0, 100)] = 1.0
    free_memory_mib: Annotated[float, Range(0, 1e7)] = 256.0
    llm_quality: Literal["unmeasured"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SloRule:
    """Limits the capacity ladder, in ms or by a multiple of the baseline's own p95.

    Args:
        multiple: The limit of a service as a multiple of the baseline's p95.
        p95_ms: The limit in ms, by service; `<service>_p95_ms` in the file.
    """

    multiple: Annotated[float, Range(1, 1000)] = 1.5
    p95_ms: Annotated[Mapping[str, float], Range(1, 1e7)] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitnessRule:
    """Says how a measurement becomes one number.

    Args:
        weights: They replace those of the preset, by term.
        headroom_mib: Free memory beyond which more counts for nothing, MiB.
    """

    preset: Preset = "balanced"
    weights: Annotated[Weights | None, Range(0, 1e6)] = None
    normalisation: Literal["relative", "fixed"] = "relative"
    headroom_mib: Annotated[float, Range(0, 1e7)] = 1024.0

    @property
    def effective_weights(self) -> Weights:
        """Return the weights that count."""
        return self.weights or PRESETS[self.preset]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Is one entry of a spec's `workloads:`: a ready-made kind, or the file of a captured trace."""

    name: str
    replay: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """Names the file that a spec was read from, and holds what reading it noted.

    Args:
        ignored: Keys that are accepted and not used, e.g. `evaluator.path`.
        notes: Sentences to show.
    """

    path: Path
    text: str
    text_sha256: str
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(SpecFile):
    """Is a validated spec: a field for each key of the file, with its type, range and default.

    Args:
        measure: Live, or the file of a recording.
        bounds: Hard limits of numeric parameters.
        device: cpu, cuda, an index or a UUID.
        monotone: Parameters that take more memory as they grow, lists in their order.
        reserve_mib: Memory that nobody may take, MiB; None leaves it to the device.
        workloads: What a confirmation also measures under.
        claim: The metric that must be better in a confirmation.
        margins: By how many percent others may be worse, where that is not `confirm.py --margin`.
    """

    name: str
    enabled: bool = True
    search_space: Space
    budget: Budget = field(default_factory=Budget)
    selector: Selector = field(default_factory=Selector)
    measure: Literal["live"] | Path
    sampler: SamplerName = "tournament"
    baseline: Allocation
    bounds: Mapping[str, tuple[float, float]]
    device: str
    services: Services
    workload: Workload = field(default_factory=Workload)
    slo: SloRule = field(default_factory=SloRule)
    fitness: FitnessRule = field(default_factory=FitnessRule)
    gates: Gates = field(default_factory=Gates)
    monotone: tuple[str, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    reserve_mib: Annotated[float | None, Range(0, 1e7)] = None
    precheck: Literal["prune", "report"] = "prune"
    workloads: tuple[HeldOut, ...] = ()
    claim: Claim | None = None
    margins: Annotated[Mapping[str, float], MARGIN_PCT] = field(default_factory=dict)


KEYS = tuple(f.name for f in fields(Spec) if f not in fields(SpecFile))
