"""This module simulates studies in the levers' space, where half of it cannot be promoted.

`python tests/support/simulations/words.py [STUDIES]` prints the table of study/guides/sampler.md.

A configuration is worth what a sum of effects says that is fitted to the recording of seven H200s,
and a launch differs from it by 0.008. Both ends of the sizes fail, one beam is never shown to keep
today's words, and five trials are asked for at a time, the first for today's.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState

from objectives.allocation import Allocation
from objectives.fitness import reference_of
from objectives.recording import read
from objectives.search_space.space import suggest
from study.search.samplers import monotone_directions, same_words, sampler
from study.search.score import Scorer
from study.spec.load import load
from study.storage.trial import NOT_SHOWN

ROOT = Path(__file__).resolve().parents[3]
SPEC = load(ROOT / "study/specs/h200_levers.yaml")
SPACE, BATCH, LAUNCH = SPEC.search_space, 5, 0.008
SHORT = {36486: "kv_cache", 48647: "memory"}  # which size lacks what


def _row(allocation: Allocation) -> list[float]:
    """Return 1 for each value that the allocation has, but for the first of each list."""
    values = ((p.name, v) for p in SPACE.parameters for v in list(p.values())[1:])
    return [1.0, *(float(allocation.values[name] == value) for name, value in values)]


def _worths() -> dict[str, float]:
    """Return what each configuration is worth, by its text."""
    launches = read(ROOT / "objectives/recordings/h200_levers.jsonl")
    (today, *_) = (e.measurement for e in launches.cell(SPEC.baseline) if e.measurement)
    reference, scorer = reference_of(today), Scorer(SPEC.fitness, SPEC.gates, SPEC.workload)
    assert reference is not None
    works = [e for e in launches.entries if e.measurement]
    x = np.array([_row(Allocation(e.values)) for e in works])
    y = [scorer.fitness(e.measurement, reference).value for e in works if e.measurement]
    effects = np.linalg.solve(x.T @ x + 0.3 * np.eye(x.shape[1]), x.T @ np.array(y))
    return {str(a): float(np.array(_row(a)) @ effects) for a in SPACE.grid()}


WORTHS = _worths()
TODAY = WORTHS[str(SPEC.baseline)]


def may_win(allocation: Allocation) -> bool:
    """Return whether a configuration works and its words are shown to be today's."""
    is_heard = allocation.values["whisper.beam_size"] == 5
    return is_heard and allocation.values["vllm_memory_mib"] not in SHORT


BEST = max(WORTHS[str(a)] for a in SPACE.grid() if may_win(a))


def gains(name: str, seed: int, trials: int, *, is_told: bool) -> list[float]:
    """Return the share of the possible gain that a study's answer has, after each trial.

    Args:
        name: The sampler's.
        is_told: Whether it is told what cannot be promoted.
    """
    directions = {**monotone_directions(SPEC), **(same_words(SPEC) if is_told else {})}
    options: dict[str, Any] = {"monotone": directions} if name == "tournament" else {}
    asked = sampler(name, seed=seed, space=SPACE.distributions(), options=options)
    study = optuna.create_study(sampler=asked, direction="maximize")
    study.enqueue_trial(SPACE.encode(SPEC.baseline))
    rng, shown, worth, found = np.random.default_rng(seed), -np.inf, TODAY, []
    while len(found) < trials:
        batch = [study.ask() for _ in range(BATCH)]
        for trial, allocation in [(t, suggest(t, SPACE)) for t in batch]:
            if lack := SHORT.get(int(allocation.values["vllm_memory_mib"])):
                trial.set_constraint(lack, 0.003)
                study.tell(trial, state=TrialState.PRUNED)
            else:
                value = WORTHS[str(allocation)] + rng.normal(0.0, LAUNCH)
                trial.set_constraint("memory", -0.05)
                if is_told and not may_win(allocation):
                    trial.set_constraint("kv_cache", 0.0)
                    trial.set_constraint(NOT_SHOWN, 0.005)
                study.tell(trial, value)
                if may_win(allocation) and value > shown:
                    shown, worth = value, WORTHS[str(allocation)]
            found.append((worth - TODAY) / (BEST - TODAY))
    return found


def main() -> None:
    """Print the table."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    for name in ("tournament", "tpe"):
        for is_told in (False, True):
            of = np.array([gains(name, s, 20, is_told=is_told) for s in range(studies)])
            told = "told" if is_told else "not told"
            print(
                f"{name}, {told}: {of[:, 9].mean():.0%} after 10, {of[:, 19].mean():.0%} after 20"
            )


if __name__ == "__main__":
    main()
