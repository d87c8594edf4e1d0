"""This module holds a contest of samplers on problems, on several processes.

Every finished run is a line of `runs.jsonl`; a contest that is stopped goes on where it was. Runs
of another commit or of other versions are not mixed in. Tables, intervals and figures are made of
those lines, so they can be made again.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

import optuna

from objectives import waiting
from objectives.errors import BadInput, SetupError
from study.sampler_benchmark.contest import SLOW, SLOWEST, Contest
from study.sampler_benchmark.journal import RunJournal
from study.sampler_benchmark.problems.suites import problem, small
from study.sampler_benchmark.trial_run import SamplerRun, race

SMALL_BUDGET, BUDGET = 40, 100  # trials of a run, on a table of a few cells and on a larger space
LEAST_ROUNDS = 3  # where many are asked for at a time, the later ones know of the first
SEEDS_A_TASK = 5  # seeds of one task
Task = tuple[str, str, int, tuple[int, ...], bool]  # the last: whether runs end at the target


def budget_of(name: str, batch: int) -> int:
    """Return how many trials a run on this problem has, asked for so many at a time."""
    return SMALL_BUDGET if small(name) else max(BUDGET, LEAST_ROUNDS * batch)


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
    tasks = _tasks([key for key in keys if key not in held], contest.to_target)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if jobs == 1:
        for task in tasks:
            waiting.check()
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
        pending = set(futures)
        while pending:
            over, pending = wait(pending, waiting.LOOK_S, FIRST_COMPLETED)
            waiting.check()
            for done in over:
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


def _tasks(runs: Sequence[tuple[str, str, int, int]], to_target: bool) -> list[Task]:
    """Bundle runs of one problem, sampler and batch.

    The slow ones come first, so that no process is left over.
    """
    seeds: dict[tuple[str, str, int], list[int]] = {}
    for name, sampler, batch, seed in runs:
        seeds.setdefault((name, sampler, batch), []).append(seed)
    tasks = []
    for (name, sampler, batch), all_of_them in seeds.items():
        size = 1 if sampler in SLOWEST else SEEDS_A_TASK
        tasks += [
            (name, sampler, batch, tuple(all_of_them[i : i + size]), to_target)
            for i in range(0, len(all_of_them), size)
        ]
    return sorted(tasks, key=lambda task: task[1] not in (*SLOWEST, *SLOW))


def _prepare() -> None:
    """Leave Ctrl-C to the parent process, and log nothing about single trials."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def _race(task: Task) -> list[SamplerRun]:
    name, sampler, batch, seeds, to_target = task
    if sampler == "gp":
        import torch  # noqa: PLC0415  an extra

        torch.set_num_threads(1)
    return [
        race(
            problem(name, seed),
            sampler,
            batch=batch,
            budget=budget_of(name, batch),
            to_target=to_target,
        )
        for seed in seeds
    ]
