"""Candidates of a study race: each is held against the best so far while it is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import optuna

from objectives.allocation import Allocation
from objectives.fitness import WHOLE
from objectives.load.segments import at_best
from objectives.measurement import Measurement
from study.analysis.configurations import Configuration, configurations_in
from study.analysis.noise import LEAST_POOLED
from study.analysis.promotion_eligibility import is_eligible
from study.analysis.reweigh import of_all_cards
from study.racing.giving_up import Candidate, Leader, Noise, is_dominated, noise_of
from study.rule.pooled import pooled
from study.search.score import Score, StudyScorer
from study.storage.context import StudyContext
from study.storage.trial import Trial
from study.storage.trials import counted


@dataclass(slots=True)
class Racer:
    """A racer is a trial under way. Called with what it has measured, it says whether it goes on.

    Each call is reported to Optuna as the most that its fitness can still become.

    Args:
        trial: The trial.
        allocation: What it measures.
        scorer: It turns measurements into fitness.
        services: The names of all services.
        leader: The best so far; None where it is not held against any.
        noise: What the study knows of it; None where it knows nothing.
        score: What it was worth at best when it was given up; None where it was not.
    """

    trial: optuna.Trial
    allocation: Allocation
    scorer: StudyScorer
    services: Sequence[str]
    leader: Leader | None
    noise: Noise | None
    score: Score | None = field(default=None, init=False)
    _reports: int = field(default=0, init=False)

    def __call__(self, so_far: Measurement) -> bool:
        """Return whether the rest of the measurement is worth its time."""
        if self.scorer.reference is None or so_far.lag_exceeded:  # of that it shows too little
            return True
        best = at_best(so_far, self.services)
        fitness = self.scorer.fitness(best)
        self.trial.report(fitness.value, self._reports)
        self._reports += 1
        if self.leader is None or self.noise is None:
            return True
        candidate = Candidate(
            fitness.value,
            fitness.value - _latency_terms(fitness.contributions),
            _segments(so_far, self.scorer, self.services),
        )
        if not is_dominated(candidate, self.leader, self.noise):
            return True
        score = self.scorer.score(self.allocation, best)
        if not score.is_feasible:
            return True  # it is told as what it breaks, once that is measured
        self.score = score
        return False


@dataclass(frozen=True, slots=True)
class Race:
    """A race compares the trials of one study.

    Args:
        study: It holds what was measured.
        context: What it asks.
    """

    study: optuna.Study
    context: StudyContext

    def racer(
        self,
        trial: optuna.Trial,
        allocation: Allocation,
        scorer: StudyScorer,
        *,
        may_be_given_up: bool,
    ) -> Racer:
        """Return a trial that begins, with the leader and the noise as they are now."""
        services = tuple(self.context.services)
        trials = of_all_cards(counted(self.study), self.context)
        configurations = configurations_in(trials)
        leader = noise = None
        if may_be_given_up and scorer.reference is not None:
            leader = _leader(configurations, self.context, scorer, services)
            noise = _noise(configurations, scorer, services)
        return Racer(trial, allocation, scorer, services, leader, noise)


def _leader(
    configurations: Sequence[Configuration],
    context: StudyContext,
    scorer: StudyScorer,
    services: Sequence[str],
) -> Leader | None:
    """Return the best configuration that may be promoted; another one must not end a candidate."""
    able = [c for c in configurations if is_eligible(c, context)]
    best = max(able, key=lambda c: c.fitness or 0.0, default=None)
    if best is None or best.fitness is None:
        return None
    launches = [_segments(t.measurement, scorer, services) for t in best.measured if t.measurement]
    segments = zip(*_of_one_length(launches), strict=True)
    return Leader(
        best.fitness,
        best.fitness - _latency_terms(best.contributions),
        tuple(map(fmean, segments)),
        len(best.measured),
    )


def _noise(
    configurations: Sequence[Configuration], scorer: StudyScorer, services: Sequence[str]
) -> Noise | None:
    works = [c for c in configurations if c.is_feasible]
    measured: list[Trial] = [t for c in works for t in c.measured]
    launches = [_segments(t.measurement, scorer, services) for t in measured if t.measurement]
    replicates = pooled([c.values("fitness") for c in works])
    known = replicates if replicates[1] >= LEAST_POOLED else (0.0, 0)
    return noise_of(_of_one_length(launches), known)


def _of_one_length(launches: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    """Return the launches with the most segments: others did not keep them."""
    most = max(map(len, launches), default=0)
    return [own for own in launches if len(own) == most]


def _segments(
    measured: Measurement, scorer: StudyScorer, services: Sequence[str]
) -> tuple[float, ...]:
    """Return what the terms of latency would add if the whole window were like each segment."""
    parts = (at_best(Measurement.from_flat(part), services) for part in measured.segments)
    return tuple(
        _latency_terms(scorer.fitness(part, measured.measured_on).contributions) for part in parts
    )


def _latency_terms(contributions: Mapping[str, float | None]) -> float:
    return sum(v or 0.0 for name, v in contributions.items() if name not in WHOLE)
