"""What a spec sets beside the space: budget, the tournament's settings, gates, limits of the ladder, the fitness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from objectives.fitness import PRESETS, Preset, Weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a study may use: time of one run, and trials over all runs."""

    wallclock_sec: float = 3600.0
    max_candidates: int = 10
    max_generations: int = 4
    allow_gpu: bool = True

    @property
    def max_trials(self) -> int:
        """Trials over all runs."""
        return self.max_candidates * self.max_generations


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """The tournament's settings, see `study.tournament`."""

    kind: Literal["rzero"] = "rzero"
    tournament_size: int = 4
    survivors: int = 2
    elitism: int = 1
    fresh_inject: int = 1
    population_size: int = 5
    n_offspring: int = 16
    exhausted: Literal["replicate", "stop"] = "replicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a winner must keep: word error rate within points of the baseline's, and memory left free."""

    wer_points: float = 1.0
    free_memory_mib: float = 256.0
    llm_quality: Literal["unmeasured"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Limits of the capacity ladder: in ms, or a multiple of the baseline's own p95."""

    multiple: float = 1.5
    stt_p95_ms: float | None = None
    llm_p95_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitnessRule:
    """How a measurement becomes one number; weights that are given replace those of the preset."""

    preset: Preset = "balanced"
    weights: Weights | None = None
    normalisation: Literal["relative", "fixed"] = "relative"
    headroom_mib: float = 1024.0

    @property
    def effective_weights(self) -> Weights:
        """The weights that count."""
        return self.weights or PRESETS[self.preset]
