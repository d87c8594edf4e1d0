"""`race` runs one sampler on one problem with one seed: asked in batches, told in order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from study.sampler_benchmark.problems.problem import Coordinates, Problem, Truth
from study.sampler_benchmark.samplers import AS_PRUNED, AS_VALUE, contestant, telling
from study.tournament import recommend

CHECKPOINTS = (15, 25, 40, 100)  # trials after which the regret is read and the best is named
EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Named:
    """These are true regrets of the configurations that a study names; None where it names none.

    Args:
        best_trial: Of the one that `study.best_trial` names.
        recommend: Of the one that `recommend` names.
    """

    best_trial: float | None
    recommend: float | None


@dataclass(frozen=True, slots=True)
class SamplerRun:
    """A run is what one sampler did on one problem.

    Args:
        problem: The name of the problem.
        sampler: The name of the sampler.
        batch: How many trials were asked for at a time.
        seed: The seed of both.
        budget: How many trials there were.
        fresh: How many of the first trials need not repeat a configuration.
        path: Trial and true regret of each improvement, trials counted from 1 as they were told.
        found: The trial that first met the target; None is a miss.
        repeats: Trials among the first `fresh` that proposed an earlier configuration again; None
            in a run that ended at the target.
        oom: Trials spent on what does not fit; None where all fits.
        oom_repeats: Trials spent on what was known not to fit, likewise.
        named: By number of trials, what the study names after them.
        wall_s: The seconds of the whole run.
        to_target: Whether it ended where it first met the target, and so tells no more than that.
    """

    problem: str
    sampler: str
    batch: int
    seed: int
    budget: int
    fresh: int
    path: tuple[tuple[int, float], ...]
    found: int | None
    repeats: int | None
    oom: int | None
    oom_repeats: int | None
    named: Mapping[int, Named]
    wall_s: float
    to_target: bool = False

    def regret(self, trial: int) -> float:
        """Return the true regret of the best among the first trials, or that of the worst value."""
        return next((r for at, r in reversed(self.path) if at <= trial), self.path[0][1])


def race(
    problem: Problem, name: str, *, batch: int, budget: int, to_target: bool = False
) -> SamplerRun:
    """Run one study of `budget` trials; sampler and problem have the same seed.

    With `to_target` it ends where it first meets the target.
    """
    began = time.perf_counter()
    sampler = contestant(
        name,
        seed=problem.seed,
        space=problem.space,
        budget=budget,
        batch=batch,
        monotone=problem.monotone,
    )
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space, teller = dict(problem.space), Telling(study, problem, name)
    path = [(0, problem.regret_of(problem.worst))]
    first_hit = None
    fresh = min(budget, problem.size or budget)
    repeats = oom = oom_repeats = number = 0
    named: dict[int, Named] = {}
    while number < budget and not (to_target and first_hit):
        for trial in [study.ask(space) for _ in range(min(batch, budget - number))]:
            number += 1
            truth, is_repeat = teller.tell(trial)
            repeats += is_repeat and number <= fresh
            if truth.fits:
                regret = problem.regret_of(truth.value)
                if regret < path[-1][1]:
                    path.append((number, regret))
                    if first_hit is None and regret <= problem.near + EXACT:
                        first_hit = number
            else:
                oom += 1
                oom_repeats += is_repeat
            if to_target and first_hit:
                break
            if number in CHECKPOINTS and not to_target:
                named[number] = _named(study, problem)
    return SamplerRun(
        problem=problem.name,
        sampler=name,
        batch=batch,
        seed=problem.seed,
        budget=budget,
        fresh=fresh,
        path=tuple((at, round(r, 6)) for at, r in path),
        found=first_hit,
        repeats=None if to_target else repeats,
        oom=oom if problem.has_memory and not to_target else None,
        oom_repeats=oom_repeats if problem.has_memory and not to_target else None,
        named=named,
        wall_s=round(time.perf_counter() - began, 4),
        to_target=to_target,
    )


class Telling:
    """A telling tells a study what its trials find, in the way that its sampler can learn from.

    Args:
        study: The study.
        problem: What it asks for.
        name: The name of the sampler.
    """

    def __init__(self, study: optuna.Study, problem: Problem, name: str) -> None:
        self._study, self._problem, self._way = study, problem, telling(name)
        self._counts: dict[Coordinates, int] = {}
        self._worst: float | None = None

    def tell(self, trial: Trial) -> tuple[Truth, bool]:
        """Tell one trial; return what is true of it, and whether its configuration came before."""
        problem, way = self._problem, self._way
        key = problem.key(trial.params)
        k = self._counts.get(key, 0)
        self._counts[key] = k + 1
        truth = problem.outcome(key)
        if not truth.fits:
            self._tell_failure(trial, truth)
            return truth, k > 0
        value = truth.value + problem.noise(key, k)
        self._worst = value if self._worst is None else min(self._worst, value)
        if problem.has_memory and not problem.is_silent and way != AS_VALUE:
            trial.set_constraint("memory", truth.deficit)
        self._study.tell(trial, value)
        return truth, k > 0

    def _tell_failure(self, trial: Trial, truth: Truth) -> None:
        """Tell that a trial was out of memory."""
        if self._way != AS_VALUE:
            trial.set_constraint("memory", truth.deficit)
        if self._way == AS_PRUNED:
            trial.report(0.0, 0)  # as a live study does
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, 0.0 if self._worst is None else self._worst)


def _named(study: optuna.Study, problem: Problem) -> Named:
    """Return the true regret of what `best_trial` and `recommend` would deploy now, if any."""
    try:
        return Named(
            _regret(problem, study.best_trial.params), _regret(problem, recommend(study).params)
        )
    except ValueError:  # nothing fits yet
        return Named(None, None)


def _regret(problem: Problem, params: Mapping[str, Any]) -> float:
    return round(problem.regret(problem.key(params)), 6)
