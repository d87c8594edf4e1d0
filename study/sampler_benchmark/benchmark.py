"""This module plans a contest of samplers on problems and runs it on several processes.

Every finished run is a line of `runs.jsonl`; a contest that is stopped goes on where it was. Runs
of another commit or of other versions are not mixed in. Tables, intervals and figures are made of
those lines, so they can be made again.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import optuna

from objectives.errors import BadInput, SetupError
from study.sampler_benchmark import suites
from study.sampler_benchmark.journal import RunJournal
from study.sampler_benchmark.samplers import (
    RIVALS,
    SENTENCES,
    hindrance,
    missing_for_sampler,
    telling,
)
from study.sampler_benchmark.suites import PROBLEMS, problem, small
from study.sampler_benchmark.trial_run import SamplerRun, race

SMALL_BUDGET, BUDGET = 40, 80  # trials of a run, on a table of a few cells and on a larger space
# the population of the tournament: a live study asks a generation before any of it is told
LIVE_BATCH = 5
SLOW = ("gp", "nevergrad", "tpe4")  # 30, 3 and 2 ms a trial, and more in larger spaces
LEAST = 5  # seeds, unless fewer are asked for
QUICK_SAMPLERS = ("tournament", "tpe", "random", "nsga2", "exhaustive")
QUICK_PROBLEMS = ("smooth", "noisy-cliff")
SEEDS_A_TASK = 5  # seeds of one task
Task = tuple[str, str, int, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What is to be run.

    Args:
        samplers: The names of the samplers.
        problems: The names of the problems.
        batches: How many trials are asked for at a time, for each run.
        seeds: How many seeds tables and synthetic problems get; suites, nevergrad and tpe4 get a
            quarter of them, gp a twentieth, and a fortieth in large spaces; but at least 5.
    """

    samplers: tuple[str, ...]
    problems: tuple[str, ...]
    batches: tuple[int, ...]
    seeds: int

    def seeds_of(self, name: str, sampler: str) -> range:
        """Return the seeds of one sampler on one problem, from 0."""
        share = 4 if sampler in SLOW or name in suites.PROBLEM_PACKAGES else 1
        if sampler == "gp":
            share = 20 if small(name) else 40
        return range(max(min(LEAST, self.seeds), self.seeds // share))

    def runs(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield problem, sampler, batch and seed of every run that makes sense."""
        for name in self.problems:
            space = problem(name, 0).space
            for batch in self.batches:
                for sampler in self.samplers:
                    if hindrance(sampler, space) is None:
                        yield from (
                            (name, sampler, batch, seed) for seed in self.seeds_of(name, sampler)
                        )

    def left_out(self) -> list[str]:
        """Return a sentence for each sampler that takes no part in a problem."""
        spaces = {name: problem(name, 0).space for name in self.problems}
        problems: dict[tuple[str, str], list[str]] = {}
        for name, space in spaces.items():
            for sampler in self.samplers:
                if why := hindrance(sampler, space):
                    problems.setdefault((sampler, why), []).append(name)
        return [
            f"{sampler} takes no part in {', '.join(names)}: {why}"
            for (sampler, why), names in problems.items()
        ]


def available(
    names: Sequence[str] | None,
    choices: Sequence[str],
    missing: Callable[[str], str | None],
    what: str,
) -> tuple[tuple[str, ...], list[str]]:
    """Return the names, or all choices that can be had here; and why the others cannot.

    Args:
        names: The names that the user asks for; none for all.
        choices: All names that there are.
        missing: Returns the sentence that says what a name lacks here, or None.
        what: What the names are of, for errors.

    Raises:
        BadInput: A name is unknown.
        SetupError: One of the names needs a package that is not here.
    """
    for name in names or ():
        if name not in choices:
            raise BadInput(f"unknown {what} {name!r}; choose of {', '.join(choices)}")
        if why := missing(name):
            raise SetupError(why)
    chosen = tuple(dict.fromkeys(names or choices))
    reasons = [why for n in chosen if (why := missing(n))]
    return tuple(n for n in chosen if not missing(n)), reasons


def entered(
    samplers: Sequence[str] | None,
    problems: Sequence[str] | None,
    batches: Sequence[int] = (1, LIVE_BATCH),
    seeds: int = 200,
    *,
    quick: bool = False,
) -> tuple[Contest, list[str]]:
    """Return the contest of these samplers and problems, and a sentence for each that is not in it.

    By default all take part that can be had here, or with `quick` the few quick ones.

    Raises:
        BadInput: A name is unknown.
        SetupError: A package is missing that a name needs, or that draws.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise SetupError("figures need matplotlib; python -m pip install -e '.[bench]'")
    if quick:
        samplers, problems = samplers or QUICK_SAMPLERS, problems or QUICK_PROBLEMS
    usual = tuple(name for name in PROBLEMS if name != "noisy-mixed")
    chosen, without = available(samplers, RIVALS, missing_for_sampler, "sampler")
    fields, also = available(
        problems or None, PROBLEMS if problems else usual, suites.missing_for_problem, "problem"
    )
    contest = Contest(
        samplers=chosen, problems=fields, batches=tuple(dict.fromkeys(batches)), seeds=seeds
    )
    return contest, [*without, *also]


def budget_of(name: str) -> int:
    """Return how many trials a run on this problem has."""
    return SMALL_BUDGET if small(name) else BUDGET


def telling_notes(samplers: Sequence[str]) -> list[str]:
    """Return a sentence for each way in which samplers are told of what does not fit."""
    ways = {way: [s for s in samplers if telling(s) == way] for way in SENTENCES}
    return [
        f"what does not fit, {', '.join(who)}: {SENTENCES[way]}" for way, who in ways.items() if who
    ]


def hold(
    contest: Contest, journal: RunJournal, *, jobs: int, ended: Callable[[int, str], None]
) -> list[SamplerRun]:
    """Run what the journal does not hold yet; return the runs of this contest, old and new.

    Args:
        contest: What is to be run.
        journal: The finished runs, to which new ones are added.
        jobs: How many processes run at once.
        ended: Called with how many runs have ended and of what, at first for those that were held.

    Raises:
        BadInput: No run makes sense.
        SetupError: A process was killed.
    """
    keys = list(contest.runs())
    if not keys:
        raise BadInput(
            f"none of this can be run: {'; '.join(contest.left_out())}; "
            "choose other samplers or problems"
        )
    held = {(r.problem, r.sampler, r.batch, r.seed) for r in journal.runs}
    ended(sum(key in held for key in keys), "")
    tasks = _tasks([key for key in keys if key not in held])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if jobs == 1:
        for task in tasks:
            journal.add(runs := _race(task))
            ended(len(runs), f"{task[0]} {task[1]}")
    elif tasks:
        _in_processes(tasks, journal, jobs, ended)
    by_key = {(r.problem, r.sampler, r.batch, r.seed): r for r in journal.runs}
    return [by_key[key] for key in keys]


def _in_processes(
    tasks: Sequence[Task], journal: RunJournal, jobs: int, ended: Callable[[int, str], None]
) -> None:
    # each process has a processor of its own
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    spawn = multiprocessing.get_context("spawn")  # torch does not bear a fork
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_prepare)
    futures = {pool.submit(_race, task): task for task in tasks}
    try:
        for done in as_completed(futures):
            journal.add(runs := done.result())
            ended(len(runs), " ".join(futures[done][:2]))
    except BrokenProcessPool as error:
        raise SetupError(
            "a process of the comparison was killed; run again to go on, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():  # after Ctrl-C, nothing of ours goes on
            child.terminate()


def _tasks(runs: Sequence[tuple[str, str, int, int]]) -> list[Task]:
    """Bundle runs of one problem, sampler and batch.

    The slow ones come first, so that no process is left over.
    """
    seeds: dict[tuple[str, str, int], list[int]] = {}
    for name, sampler, batch, seed in runs:
        seeds.setdefault((name, sampler, batch), []).append(seed)
    tasks = []
    for (name, sampler, batch), all_of_them in seeds.items():
        size = 1 if sampler == "gp" else SEEDS_A_TASK
        tasks += [
            (name, sampler, batch, tuple(all_of_them[i : i + size]))
            for i in range(0, len(all_of_them), size)
        ]
    return sorted(tasks, key=lambda task: task[1] not in SLOW)


def _prepare() -> None:
    """Leave Ctrl-C to the parent process, and log nothing about single trials."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _race(task: Task) -> list[SamplerRun]:
    name, sampler, batch, seeds = task
    if sampler == "gp":
        import torch  # noqa: PLC0415  an extra

        torch.set_num_threads(1)
    return [
        race(problem(name, seed), sampler, batch=batch, budget=budget_of(name)) for seed in seeds
    ]
