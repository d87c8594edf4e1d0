"""One sampler on one problem with one seed: asked in batches, told in order, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import Trial, TrialState

from study.sampler_benchmark.problems import Key, Outcome, Problem
from study.sampler_benchmark.samplers import AS_PRUNED, AS_VALUE, rival, told
from study.tournament import recommend

CHECKPOINTS = (10, 20, 40, 80)  # trials after which the regret is read and the best is named
EXACT = 1e-9


@dataclass(frozen=True, slots=True)
class Named:
    """The configuration that a study names after some trials: its true regret, None where it names none."""

    best_trial: float | None
    recommend: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """What one sampler did on one problem.

    path: trial and true regret of each improvement, trials counted from 1 in the order they were told
    found: the trial that first met the target; None is a miss
    repeats: trials that proposed an earlier configuration again, among the first `fresh`, where nothing forces one
    oom, oom_repeats: trials spent on what does not fit, and on what was known not to fit; None without such cells
    wall_s: of the whole run, with the measuring; None is left for what was not measured
    """

    problem: str
    sampler: str
    batch: int
    seed: int
    budget: int
    fresh: int
    path: tuple[tuple[int, float], ...]
    found: int | None
    repeats: int
    oom: int | None
    oom_repeats: int | None
    named: Mapping[int, Named]
    wall_s: float

    def regret(self, trial: int) -> float:
        """True regret of the best configuration among the first trials; the first's until one fits."""
        return next((r for at, r in reversed(self.path) if at <= trial), self.path[0][1])


def race(problem: Problem, name: str, *, batch: int, budget: int) -> Run:
    """One study of `budget` trials. Sampler and problem have the same seed."""
    began = time.perf_counter()
    sampler = rival(name, seed=problem.seed, space=problem.space, budget=budget, batch=batch)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    space, way = dict(problem.space), told(name)
    seen: dict[Key, int] = {}
    path = [(0, problem.regret_of(problem.worst))]
    worst, found = 0.0, None
    fresh = min(budget, problem.size or budget)
    repeats = oom = oom_repeats = number = 0
    named: dict[int, Named] = {}
    while number < budget:
        for trial in [study.ask(space) for _ in range(min(batch, budget - number))]:
            number += 1
            key = problem.key(trial.params)
            k = seen.get(key, 0)
            seen[key] = k + 1
            repeats += k > 0 and number <= fresh
            truth = problem.outcome(key)
            if truth.fits:
                value = truth.value + problem.noise(key, k)
                worst = value if number - oom == 1 else min(worst, value)
                _tell(study, trial, truth, value, problem.has_memory and way != AS_VALUE)
                regret = problem.regret_of(truth.value)
                if regret < path[-1][1]:
                    path.append((number, regret))
                    if found is None and regret <= problem.near + EXACT:
                        found = number
            else:
                oom += 1
                oom_repeats += k > 0
                _tell_failure(study, trial, truth, worst, way)
            if number in CHECKPOINTS:
                named[number] = _named(study, problem)
    return Run(
        problem=problem.name,
        sampler=name,
        batch=batch,
        seed=problem.seed,
        budget=budget,
        fresh=fresh,
        path=tuple((at, round(r, 6)) for at, r in path),
        found=found,
        repeats=repeats,
        oom=oom if problem.has_memory else None,
        oom_repeats=oom_repeats if problem.has_memory else None,
        named=named,
        wall_s=round(time.perf_counter() - began, 4),
    )


def _tell(
    study: optuna.Study, trial: Trial, truth: Outcome, value: float, is_constrained: bool
) -> None:
    if is_constrained:
        trial.set_constraint("memory", truth.deficit)
    study.tell(trial, value)


def _tell_failure(
    study: optuna.Study, trial: Trial, truth: Outcome, worst: float, way: str
) -> None:
    """Out of memory, as this sampler can hear it."""
    if way != AS_VALUE:
        trial.set_constraint("memory", truth.deficit)
    if way == AS_PRUNED:
        trial.report(0.0, 0)  # as a live study does
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, worst)


def _named(study: optuna.Study, problem: Problem) -> Named:
    """The true regret of what `best_trial` and `recommend` would deploy now; None where nothing fits yet."""
    try:
        return Named(
            _regret(problem, study.best_trial.params), _regret(problem, recommend(study).params)
        )
    except ValueError:  # both say so in this way
        return Named(None, None)


def _regret(problem: Problem, params: Mapping[str, Any]) -> float:
    return round(problem.regret(problem.key(params)), 6)
