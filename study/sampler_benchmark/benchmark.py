"""Many runs: which samplers on which problems with which seeds, on several processes, kept as they end.

Every finished run is a line of `runs.jsonl`; a contest that is stopped goes on where it was. Runs of another commit or
of other versions are not mixed in. Tables, intervals and figures are made of those lines, so they can be made again.
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
from study.sampler_benchmark.journal import Journal
from study.sampler_benchmark.samplers import RIVALS, SENTENCES, obstacle, told
from study.sampler_benchmark.samplers import missing as missing_sampler
from study.sampler_benchmark.suites import PROBLEMS, problem, small
from study.sampler_benchmark.trial_run import Run, race

SMALL_BUDGET, BUDGET = 40, 80  # trials of a run, on a table of a few cells and on a larger space
LIVE_BATCH = (
    5  # the population of the tournament: a live study asks a generation before any of it is told
)
SLOW = ("gp", "nevergrad", "tpe4")  # 30, 3 and 2 ms a trial, and more in larger spaces
LEAST = 5  # seeds, unless fewer are asked for
QUICK = (
    ("tournament", "tpe", "random", "nsga2", "exhaustive"),
    ("smooth", "noisy-cliff"),
)  # samplers, problems
CHUNK = 5  # seeds of one task
Task = tuple[str, str, int, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """What is to be run.

    seeds: of tables and of what is made; suites, nevergrad and tpe4 get a quarter of them, gp a twentieth, and a
    fortieth in large spaces; but at least 5
    """

    samplers: tuple[str, ...]
    problems: tuple[str, ...]
    batches: tuple[int, ...]
    seeds: int

    def seeds_of(self, name: str, sampler: str) -> range:
        """The seeds of one sampler on one problem, from 0."""
        share = 4 if sampler in SLOW or name in suites.NEEDS else 1
        if sampler == "gp":
            share = 20 if small(name) else 40
        return range(max(min(LEAST, self.seeds), self.seeds // share))

    def runs(self) -> Iterator[tuple[str, str, int, int]]:
        """Problem, sampler, batch and seed of every run; without those that make no sense."""
        for name in self.problems:
            space = problem(name, 0).space
            for batch in self.batches:
                for sampler in self.samplers:
                    if obstacle(sampler, space) is None:
                        yield from (
                            (name, sampler, batch, seed) for seed in self.seeds_of(name, sampler)
                        )

    def left_out(self) -> list[str]:
        """A sentence for each sampler that takes no part in a problem."""
        spaces = {name: problem(name, 0).space for name in self.problems}
        found: dict[tuple[str, str], list[str]] = {}
        for name, space in spaces.items():
            for sampler in self.samplers:
                if why := obstacle(sampler, space):
                    found.setdefault((sampler, why), []).append(name)
        return [
            f"{sampler} takes no part in {', '.join(names)}: {why}"
            for (sampler, why), names in found.items()
        ]


def available(
    names: Sequence[str] | None,
    known: Sequence[str],
    missing: Callable[[str], str | None],
    what: str,
) -> tuple[tuple[str, ...], list[str]]:
    """The names that were asked for, or all that can be had here; and a sentence for each that cannot.

    raises: BadInput for an unknown name; SetupError where one that was asked for needs a package
    """
    for name in names or ():
        if name not in known:
            raise BadInput(f"unknown {what} {name!r}; choose of {', '.join(known)}")
        if why := missing(name):
            raise SetupError(why)
    chosen = tuple(dict.fromkeys(names or known))
    return tuple(n for n in chosen if not missing(n)), [why for n in chosen if (why := missing(n))]


def entered(
    samplers: Sequence[str] | None,
    problems: Sequence[str] | None,
    batches: Sequence[int] = (1, LIVE_BATCH),
    seeds: int = 200,
    *,
    quick: bool = False,
) -> tuple[Contest, list[str]]:
    """The contest of these samplers and problems, by default all that can be had here, and what is not in it.

    quick: by default only those of `QUICK`
    raises: BadInput for an unknown name; SetupError where a package is missing that was asked for, or that draws
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise SetupError("figures need matplotlib; python -m pip install -e '.[bench]'")
    if quick:
        samplers, problems = samplers or QUICK[0], problems or QUICK[1]
    usual = tuple(name for name in PROBLEMS if name != "noisy-mixed")
    chosen, without = available(samplers, RIVALS, missing_sampler, "sampler")
    fields, also = available(
        problems or None, PROBLEMS if problems else usual, suites.missing, "problem"
    )
    contest = Contest(
        samplers=chosen, problems=fields, batches=tuple(dict.fromkeys(batches)), seeds=seeds
    )
    return contest, [*without, *also]


def budget_of(name: str) -> int:
    """Trials of a run on this problem."""
    return SMALL_BUDGET if small(name) else BUDGET


def how_told(samplers: Sequence[str]) -> list[str]:
    """A sentence for each way in which samplers are told of what does not fit."""
    ways = {way: [s for s in samplers if told(s) == way] for way in SENTENCES}
    return [
        f"what does not fit, {', '.join(who)}: {SENTENCES[way]}" for way, who in ways.items() if who
    ]


def hold(
    contest: Contest, journal: Journal, *, jobs: int, ended: Callable[[int, str], None]
) -> list[Run]:
    """Run what the journal does not hold yet; returns the runs of this contest, old and new.

    ended: is told how many runs have ended and of what, at first for those that were held
    """
    wanted = list(contest.runs())
    if not wanted:
        raise BadInput(
            f"none of this can be run: {'; '.join(contest.left_out())}; choose other samplers or problems"
        )
    held = {(r.problem, r.sampler, r.batch, r.seed) for r in journal.runs}
    ended(sum(run in held for run in wanted), "")
    tasks = _tasks([run for run in wanted if run not in held])
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if jobs == 1:
        for task in tasks:
            journal.add(found := _race(task))
            ended(len(found), f"{task[0]} {task[1]}")
    elif tasks:
        _in_processes(tasks, journal, jobs, ended)
    by_key = {(r.problem, r.sampler, r.batch, r.seed): r for r in journal.runs}
    return [by_key[key] for key in wanted]


def _in_processes(
    tasks: Sequence[Task], journal: Journal, jobs: int, ended: Callable[[int, str], None]
) -> None:
    os.environ |= dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
    )  # a process each
    spawn = multiprocessing.get_context("spawn")  # torch does not bear a fork
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_prepare)
    futures = {pool.submit(_race, task): task for task in tasks}
    try:
        for done in as_completed(futures):
            journal.add(found := done.result())
            ended(len(found), " ".join(futures[done][:2]))
    except BrokenProcessPool as error:
        raise SetupError(
            "a process of the comparison was killed; run again to go on, with fewer --jobs"
        ) from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():  # after Ctrl-C, nothing of ours goes on
            child.terminate()


def _tasks(runs: Sequence[tuple[str, str, int, int]]) -> list[Task]:
    """Runs in bundles of one problem, sampler and batch; the slow ones first, so that no process is left over."""
    seeds: dict[tuple[str, str, int], list[int]] = {}
    for name, sampler, batch, seed in runs:
        seeds.setdefault((name, sampler, batch), []).append(seed)
    tasks = []
    for (name, sampler, batch), all_of_them in seeds.items():
        size = 1 if sampler == "gp" else CHUNK
        tasks += [
            (name, sampler, batch, tuple(all_of_them[i : i + size]))
            for i in range(0, len(all_of_them), size)
        ]
    return sorted(tasks, key=lambda task: task[1] not in SLOW)


def _prepare() -> None:
    """A process that leaves Ctrl-C to its parent and says nothing about single trials."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _race(task: Task) -> list[Run]:
    name, sampler, batch, seeds = task
    if sampler == "gp":
        import torch  # noqa: PLC0415  an extra

        torch.set_num_threads(1)
    return [
        race(problem(name, seed), sampler, batch=batch, budget=budget_of(name)) for seed in seeds
    ]
