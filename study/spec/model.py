"""A spec as data has a search space, services, workload, budget, gates and fitness rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Literal

from objectives.allocation import Allocation
from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.engines.places import PLACE, Place
from objectives.fitness import PRESETS, Preset, Weights
from objectives.plain_data.ranges import Range
from objectives.search_space.space import Space
from objectives.servers.tenants import Tenant
from objectives.services import Services
from objectives.traffic.workload import Workload
from study.rule.rule import Claim
from study.spec.choices import PrunerName, SamplerName


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """A budget limits what a study may use: the time of one run, and the trials over all runs.

    Args:
        wallclock_sec: The time of one run, seconds.
        max_candidates: The most trials of a generation; a factor of the most over all runs.
        max_generations: The other factor.
        allow_gpu: Whether a GPU may be used.
        total_sec: The time of all of its turns among other experiments (study/guides/dream.md),
            seconds; None: no limit. A run by itself does not use it.
    """

    wallclock_sec: Annotated[float, Range(1, 1e7)] = 3600.0
    max_candidates: Annotated[int, Range(1, 10_000)] = 10
    max_generations: Annotated[int, Range(1, 10_000)] = 4
    allow_gpu: bool = True
    total_sec: Annotated[float | None, Range(1, 1e9)] = None

    @property
    def max_trials(self) -> int:
        """Return the most trials over all runs."""
        return self.max_candidates * self.max_generations


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """A selector has the settings of the tournament sampler (`study.tournament`).

    Args:
        kind: The only kind there is.
        tournament_size: How many configurations compete in a group.
        survivors: How many of each group have children.
        elitism: How many of the best of the whole study are parents in every generation.
        fresh_inject: How many trials of a generation are random.
        population_size: How many trials a generation has.
        n_offspring: How many candidates are drawn for each place.
        exhausted: What follows once all is measured: the leaders once more, or the end.
    """

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
    """The gates are what a winner must keep.

    Args:
        wer_points: The word error rate may exceed the baseline's by so many points.
        free_memory_mib: So much memory must stay free, MiB.
        llm_quality: Set where the search may change answers that nobody judges: of an LLM, or of
            another service that does not transcribe.
    """

    wer_points: Annotated[float, Range(0, 100)] = 1.0
    free_memory_mib: Annotated[float, Range(0, 1e7)] = 256.0
    llm_quality: Literal["unmeasured"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitnessRule:
    """A fitness rule makes one number of a measurement.

    Args:
        preset: The name of the weights.
        weights: They replace those of the preset, by term.
        normalisation: Whether terms are relative to the baseline, or to fixed scales.
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
    """A held-out workload is an entry of a spec's `workloads:`: a ready-made kind, or a trace.

    Args:
        name: The kind, or the name of the trace.
        replay: The file of a capture that is replayed whole; None for another kind.
        trace: The workload that replays a slice of a trace; None for another kind.
    """

    name: str
    replay: Path | None = None
    trace: Workload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecFile:
    """A spec file is what a spec was read from, and what reading it noted.

    Args:
        path: The file.
        text: What it holds.
        text_sha256: The digest of that.
        ignored: Keys that are accepted and not used, e.g. `evaluator.path`.
        notes: Sentences to show.
        has_today: Whether its baseline is in use today, and not only tried first.
    """

    path: Path
    text: str
    text_sha256: str
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    has_today: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec(SpecFile):
    """A validated spec has a field for each key of the file, with its type, range and default.

    Args:
        name: The name of the study.
        enabled: False is only noted.
        search_space: The parameters, and the values of those that are fixed.
        budget: What the study may use.
        selector: The settings of the tournament.
        measure: Live, or the file of a recording.
        sampler: The sampler, where the command line names none.
        pruner: What gives up a candidate that cannot win in the middle; `none` measures all whole.
        baseline: The allocation in use today; where nothing is, what is tried first.
        bounds: Hard limits of numeric parameters.
        limits: What a good turn meets, ms by `<service>_<figure>_p95_ms`.
        device: cpu, cuda, an index or a UUID; of several that of the LLM.
        devices: Several of them by name, the LLM's first.
        services: The servers, by name.
        workload: The traffic that they get.
        fitness: How a measurement becomes one number.
        gates: What a winner must keep.
        monotone: Parameters that take more memory as they grow, lists in their order.
        tenants: The programs that hold memory beside the servers.
        reserve_mib: Memory that nobody may take, MiB; None leaves it to the device.
        precheck: Whether arithmetic prunes an allocation, or only reports.
        workloads: What a confirmation also measures under.
        claim: What must be better in a confirmation.
    """

    name: str
    enabled: bool = True
    search_space: Space
    budget: Budget = field(default_factory=Budget)
    selector: Selector = field(default_factory=Selector)
    measure: Literal["live"] | Path
    sampler: SamplerName = "tournament"
    pruner: PrunerName = "paired_segments"
    baseline: Allocation
    bounds: Mapping[str, tuple[float, float]]
    device: str
    devices: Mapping[str, str] = field(default_factory=dict)
    services: Services
    workload: Workload = field(default_factory=Workload)
    limits: Annotated[Mapping[str, float], Range(1, 1e7)] = field(
        default_factory=lambda: dict(DEFAULT_LIMITS)
    )
    fitness: FitnessRule = field(default_factory=FitnessRule)
    gates: Gates = field(default_factory=Gates)
    monotone: tuple[str, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    reserve_mib: Annotated[float | None, Range(0, 1e7)] = None
    precheck: Literal["prune", "report"] = "prune"
    workloads: tuple[HeldOut, ...] = ()
    claim: Claim = Claim.EITHER

    @property
    def places(self) -> dict[str, tuple[Place, ...]]:
        """Return where each service may run, by its name; none where the study has one device."""
        listed = {p.name: p.choices for p in self.search_space.parameters}
        here = {
            name: listed.get(key := f"{name}.{PLACE}", (self.baseline.values.get(key, s.place),))
            for name, s in self.services.items()
        }
        return {name: tuple(Place.of(str(p)) for p in of if p) for name, of in here.items()}


KEYS = tuple(f.name for f in fields(Spec) if f not in fields(SpecFile))
