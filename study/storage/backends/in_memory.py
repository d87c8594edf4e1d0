"""This module runs a replay on a copy of its study in memory, and stores at its end what it added.

A replay asks for all trials at every step and writes twenty attributes of each, which a database
answers in most of the seconds that a replay takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from objectives.errors import BadInput
from study.storage.attributes import origin_of
from study.storage.backends.writes import add_trials


class _PlainValues(InMemoryStorage):
    """This storage in memory gives back each value as a database would: by way of JSON."""

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_user_attr(trial_id, key, _plain(value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        super().set_trial_system_attr(trial_id, key, _plain(value))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_user_attr(study_id, key, _plain(value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_system_attr(study_id, key, _plain(value))


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def may_be_in_memory(study: optuna.Study) -> bool:
    """Return whether a study can be held in memory: no trial of it is open."""
    return all(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


@contextmanager
def in_memory(study: optuna.Study) -> Iterator[optuna.Study]:
    """Yield a copy of a study; whatever ends the block, the trials that it added are stored.

    Args:
        study: Nobody else may add trials to it meanwhile. Those that it has grown from are copied
            too, to be read.
    """
    storage, stored = _PlainValues(), study._storage
    copy, older = _copied(study, storage), study
    while (origin := origin_of(older)) is not None:
        older = origin
        _copied(older, storage)
    known = len(copy.get_trials(deepcopy=False))
    user, system = copy.user_attrs, storage.get_study_system_attrs(copy._study_id)
    try:
        yield copy
    finally:
        add_trials(study, copy.get_trials(deepcopy=False)[known:])
        for name, value in copy.user_attrs.items():
            if user.get(name) != value:
                stored.set_study_user_attr(study._study_id, name, value)
        for name, value in storage.get_study_system_attrs(copy._study_id).items():
            if system.get(name) != value:
                stored.set_study_system_attr(study._study_id, name, value)


def _copied(study: optuna.Study, storage: InMemoryStorage) -> optuna.Study:
    """Copy a study with all that it holds into a storage; its sampler is the same.

    Raises:
        BadInput: It is damaged.
    """
    copy = optuna.create_study(
        storage=storage,
        study_name=study.study_name,
        directions=study.directions,
        sampler=study.sampler,
    )
    for trial in study.get_trials(deepcopy=False):
        if trial.state is TrialState.COMPLETE and not trial.values:
            raise BadInput(
                f"study {study.study_name}: trial {trial.number} is complete and has no value; "
                "name another study, or open a new one with --fresh"
            )
        storage.create_new_trial(copy._study_id, trial)
    for name, value in study.user_attrs.items():
        storage.set_study_user_attr(copy._study_id, name, value)
    for name, value in study._storage.get_study_system_attrs(study._study_id).items():
        storage.set_study_system_attr(copy._study_id, name, value)
    return copy
