"""Several things of a study are written at once, in one transaction where it has a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import optuna
from optuna.trial import FrozenTrial
from sqlalchemy.exc import IntegrityError

from study.storage.backends.patient import PatientStorage

T = TypeVar("T")


def _database_of(study: optuna.Study) -> PatientStorage | None:
    """Return the database in which a study is stored; None where it has none of ours."""
    backend = getattr(study._storage, "_backend", study._storage)
    return backend if isinstance(backend, PatientStorage) else None


def written_here_alone(study: optuna.Study) -> None:
    """Let a study's storage trust that this thread alone writes to trials that have not ended."""
    if (storage := _database_of(study)) is not None:
        storage.written_here_alone()


def together(study: optuna.Study, writes: Callable[[], T]) -> T:
    """Call what writes several things of a study, in one transaction where it has a database.

    A trial that is asked for is nobody else's for a moment, and one that ends has all of its
    attributes; and each transaction waits for the disk.

    Args:
        study: What is written to.
        writes: It may be called again, where the server of the storage was away meanwhile.

    Returns:
        What it returns; None where it ended a trial, and only the server's answer was lost.
    """
    storage = _database_of(study)
    return writes() if storage is None else storage.together(writes)


def add_trials(study: optuna.Study, trials: Sequence[FrozenTrial]) -> None:
    """Store trials that are given whole in a study, at once where it has a database."""
    if (storage := _database_of(study)) is not None:
        storage.add_trials(study._study_id, trials)
        return
    for trial in trials:
        study._storage.create_new_trial(study._study_id, trial)


def set_system_attributes(study: optuna.Study, values: Mapping[str, Any]) -> None:
    """Set several system attributes of a study, at once where it has a database."""
    with suppress(IntegrityError):  # another process made one of them at the same moment
        if (storage := _database_of(study)) is not None:
            storage.set_study_system_attrs(study._study_id, values)
            return
    for name, value in values.items():
        study._storage.set_study_system_attr(study._study_id, name, value)
