"""This module times how long a sampler takes to propose the next trial of a large study.

It does so in each kind of storage. The time is that of the processor, all threads of this process
together, so that others who keep the cores busy do not count.
"""

from __future__ import annotations

import itertools
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, create_trial

from study.sampler_benchmark.problems.problem import Problem
from study.sampler_benchmark.problems.synthetic import MIXED, synthetic
from study.sampler_benchmark.samplers import contestant
from study.tournament.axes import levels, value_at

STORAGES = ("memory", "sqlite", "journal")
STUDY_SIZES = (100, 1_000, 10_000)
REPEATS = 7
ENOUGH_S = 5.0  # three asks do where they take longer than this together
PATIENCE_MS = 3_000.0  # a sampler whose median is longer is not asked in a larger study


@dataclass(frozen=True, slots=True)
class AskTime:
    """An ask time is the processor's time of an ask in a study that holds many trials.

    The first ask, which reads the storage, does not count. Beside pending trials nothing is told
    between two asks, as when a round is asked; without them each trial is told before the next.

    Args:
        sampler: The name of the sampler.
        storage: "memory", "sqlite" or "journal".
        trials: How many complete trials the study holds.
        pending: How many trials were asked for before and not told.
        n: How many asks were timed.
        ms: Their median, ms; None where it was not measured.
        low_ms: The fastest of them, ms.
        high_ms: The slowest of them, ms.
        why_not: Why it was not measured, where it was not.
    """

    sampler: str
    storage: str
    trials: int
    pending: int
    n: int
    ms: float | None
    low_ms: float | None
    high_ms: float | None
    why_not: str | None = None


def ask_times(
    samplers: Sequence[str],
    folder: Path,
    *,
    sizes: Sequence[int] = STUDY_SIZES,
    storages: Sequence[str] = STORAGES,
    pending: Sequence[int] = (0,),
) -> Iterator[AskTime]:
    """Time every sampler on the mixed space, in every storage and size, beside pending trials.

    The folder is for the storages' files, and left empty.
    """
    for storage in storages:
        slow: dict[str, AskTime] = {}
        for size in sorted(sizes):
            with _filled(storage, size, folder) as fresh:
                for name, running in itertools.product(samplers, pending):
                    if name in slow:
                        at = slow[name]
                        why = f"the median at {at.trials:,} trials was {at.ms:,.0f} ms"
                        ask = AskTime(name, storage, size, running, 0, None, None, None, why)
                    else:
                        ask = _time(name, storage, size, running, fresh())
                    if ask.ms is not None and ask.ms > PATIENCE_MS:
                        slow[name] = ask
                    yield ask


def _time(name: str, storage: str, size: int, pending: int, backend: BaseStorage) -> AskTime:
    budget = size + pending + REPEATS + 1
    sampler = contestant(name, seed=0, space=MIXED, budget=budget, batch=pending or 1)
    study = optuna.load_study(study_name="asked", storage=backend, sampler=sampler)
    problem = synthetic("mixed", 0)
    spans_ms = []
    for _ in range(pending):
        study.ask(dict(MIXED))
    for _ in range(REPEATS + 1):
        began = time.process_time()
        trial = study.ask(dict(MIXED))
        spans_ms.append(1000 * (time.process_time() - began))
        if not pending:
            study.tell(trial, problem.outcome(problem.key(trial.params)).value)
        if len(spans_ms) > 3 and sum(spans_ms) > 1000 * ENOUGH_S:
            break
    warm = spans_ms[1:]
    middle = statistics.median(warm)
    return AskTime(name, storage, size, pending, len(warm), middle, min(warm), max(warm))


@contextmanager
def _filled(kind: str, size: int, folder: Path) -> Iterator[Callable[[], BaseStorage]]:
    """Provide a maker of storages that hold the same complete trials.

    A file is filled once and then copied.
    """
    trials = random_trials(synthetic("mixed", 0), size)
    if kind == "memory":

        def fresh() -> BaseStorage:
            return _fill(InMemoryStorage(), trials)

        yield fresh
        return
    folder.mkdir(parents=True, exist_ok=True)
    full, copy = folder / f"full.{kind}", folder / f"copy.{kind}"
    for file in (full, copy):
        file.unlink(missing_ok=True)
    _close(_fill(_opened(kind, full), trials))
    opened: list[BaseStorage] = []

    def copied() -> BaseStorage:
        while opened:
            _close(opened.pop())
        shutil.copyfile(full, copy)
        opened.append(_opened(kind, copy))
        return opened[0]

    try:
        yield copied
    finally:
        while opened:
            _close(opened.pop())
        for file in folder.glob(f"*.{kind}*"):
            file.unlink()


def _opened(kind: str, file: Path) -> BaseStorage:
    match kind:
        case "sqlite":
            return RDBStorage(f"sqlite:///{file}")
        case "journal":
            return JournalStorage(JournalFileBackend(str(file)))
    raise ValueError(f"unknown storage {kind!r}")


def _close(storage: BaseStorage) -> None:
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


def _fill(storage: BaseStorage, trials: Sequence[FrozenTrial]) -> BaseStorage:
    study_id = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], "asked")
    for trial in trials:
        storage.create_new_trial(study_id, template_trial=trial)
    return storage


def random_trials(problem: Problem, n: int) -> list[FrozenTrial]:
    """Return n complete random trials of a problem, as they would stand in a study."""
    rng = np.random.default_rng(0)
    trials = []
    for _ in range(n):
        params = {
            k: value_at(axis, int(rng.integers(int(levels(axis)))))
            for k, axis in problem.space.items()
        }
        value = problem.outcome(problem.key(params)).value
        trials.append(create_trial(params=params, distributions=dict(problem.space), value=value))
    return trials
