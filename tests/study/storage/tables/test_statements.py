"""Trials read by plain selects are those that Optuna reads, and attributes written so too."""

from datetime import datetime
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial
from sqlalchemy.exc import IntegrityError

from study.storage.backends.patient import PatientStorage
from study.storage.backends.writes import set_system_attributes
from study.storage.tables.statements import PlainStorage
from study.storage.url import sqlite_url

ENDED = (TrialState.COMPLETE, TrialState.FAIL)


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """Return a study of trials that are complete, pruned, failed and running, beside another."""
    storage = PlainStorage(sqlite_url(tmp_path / "study.db"))
    optuna.create_study(storage=storage, study_name="other").ask()
    study = optuna.create_study(storage=storage, study_name="own")
    for state, value in ((TrialState.COMPLETE, 1.5), (TrialState.PRUNED, float("inf"))):
        study.add_trial(
            create_trial(
                state=state,
                value=value,
                params={"x": "b", "a": 0.3},
                distributions={
                    "x": CategoricalDistribution(["a", "b"]),
                    "a": FloatDistribution(0.1, 0.5, step=0.1),
                },
                user_attrs={"z": [1], "b": {"c": None}},
                system_attrs={"s": "t"},
                intermediate_values={3: 1.0, 1: float("-inf")},
            )
        )
    study.add_trial(create_trial(state=TrialState.FAIL))
    study.ask().set_user_attr("begun", True)
    return study


def test_trials_are_those_that_optuna_reads(study: optuna.Study) -> None:
    ours, of_optuna = (
        storage.get_all_trials(study._study_id)
        for storage in (study._storage._backend, RDBStorage(study._storage._backend.url))
    )
    assert ours == of_optuna and len(ours) == 4
    assert [list(t.user_attrs) for t in ours] == [list(t.user_attrs) for t in of_optuna]
    assert [list(t.params) for t in ours] == [list(t.params) for t in of_optuna]
    assert isinstance(ours[0].datetime_start, datetime)


def test_only_trials_that_are_asked_for_are_read(study: optuna.Study) -> None:
    storage, ids = study._storage._backend, [t._trial_id for t in study.trials]
    newer = storage._get_trials(study._study_id, None, {ids[0]}, ids[2])
    ended = storage._get_trials(study._study_id, ENDED, set(), -1)
    assert [[t.number for t in trials] for trials in (newer, ended)] == [[0, 3], [0, 2]]


def test_a_study_that_is_not_there_has_no_trials(study: optuna.Study) -> None:
    with pytest.raises(KeyError):
        study._storage.get_all_trials(99)


def test_trials_that_are_given_whole_are_stored_as_optuna_stores_them(study: optuna.Study) -> None:
    storage = study._storage
    trials = [*study.trials, create_trial(value=2.5, intermediate_values={2: float("nan")})]
    stored = []
    for name, add in (
        ("one by one", lambda own: [storage.create_new_trial(own._study_id, t) for t in trials]),
        ("at once", lambda own: storage._backend.add_trials(own._study_id, trials)),
    ):
        own = optuna.create_study(storage=storage, study_name=name)
        own.ask()
        add(own)
        storage._backend.add_trials(own._study_id, [])
        read = RDBStorage(storage._backend.url).get_all_trials(own._study_id)[1:]
        stored.append([{**vars(t), "_trial_id": None} for t in read])
    one_by_one, at_once = stored
    assert [t["_number"] for t in at_once] == [1, 2, 3, 4, 5] and at_once[4]["_values"] == [2.5]
    assert repr(at_once) == repr(one_by_one)  # in their order, and no number equals NaN
    with pytest.raises(KeyError):
        storage._backend.add_trials(99, trials)


def test_attributes_are_set_at_once_whether_they_were_there_or_not(study: optuna.Study) -> None:
    study._storage.set_study_system_attr(study._study_id, "old", 1)
    set_system_attributes(study, {"old": [2], "new": {"a": "ß"}})
    assert study._storage.get_study_system_attrs(study._study_id) == {"old": [2], "new": {"a": "ß"}}
    other = optuna.load_study(study_name="other", storage=study._storage)
    assert other._storage.get_study_system_attrs(other._study_id) == {}


@pytest.mark.parametrize("kind", [PatientStorage, RDBStorage])
def test_attributes_that_another_process_makes_meanwhile_are_set_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[RDBStorage]
) -> None:
    def taken(*_: object) -> None:
        raise IntegrityError("INSERT", {}, Exception("UNIQUE constraint failed"))

    study = optuna.create_study(storage=kind(sqlite_url(tmp_path / "study.db")))
    monkeypatch.setattr(PlainStorage, "set_study_system_attrs", taken)
    set_system_attributes(study, {"a": 1, "b": 2})
    assert study._storage.get_study_system_attrs(study._study_id) == {"a": 1, "b": 2}
