"""What belongs together is written in one transaction: all of it, or nothing, and few of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import optuna
import pytest
from made.factories import context_of_spec, make, open_made
from made.made_up import heard_cell
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from objectives import waiting
from objectives.evaluation import Failure, Job, Outcome
from objectives.measurement import Measurement
from study.search.epoch import Epoch
from study.search.trial_ends import Progress
from study.spec.load import load
from study.storage.backends import patient
from study.storage.backends.patient import PatientStorage
from study.storage.backends.writes import together
from study.storage.context import keep
from study.storage.garbage import uncollected
from study.storage.owner import PROCESS
from study.storage.url import open_storage

LOST = OperationalError("COMMIT", {}, Exception("server closed the connection"))


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    return optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/study.db"))


def backend(study: optuna.Study) -> PatientStorage:
    storage = getattr(study._storage, "_backend")  # noqa: B009  of a cache without a type
    assert isinstance(storage, PatientStorage)
    return storage


def measured(job: Job) -> Outcome:
    result = heard_cell(job.allocation.share, job.allocation.speech)
    if isinstance(result, Measurement):
        return Outcome(result)
    return Outcome(failure=Failure(result, is_ruled_out=True, measured={"device_total_mib": 12e3}))


def test_a_trial_costs_few_transactions(tmp_path: Path) -> None:
    spec = load(make(tmp_path))
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    study, context = open_made(spec, storage, name="s"), context_of_spec(spec)
    keep(study, context)
    commits = []
    event.listen(backend(study).engine, "commit", commits.append)
    Epoch(
        study=study,
        context=context,
        space=spec.search_space,
        selector=spec.selector,
        measuring=nullcontext(measured),
        folder=tmp_path,
        max_trials=10,
        timeout_s=1e6,
        seed=0,
        progress=Progress(),
        is_replay=False,
    ).run()
    assert len(study.trials) == 10
    assert len(commits) <= 15 * 10  # those that only read among them
    owners = [t.user_attrs[PROCESS] for t in study.trials]
    assert all(owners)


def test_what_fails_leaves_nothing_behind(study: optuna.Study) -> None:
    trial = study.ask()

    def writes() -> None:
        trial.set_user_attr("a", 1)
        study.tell(trial, 0.5)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        together(study, writes)
    other = optuna.load_study(study_name=study.study_name, storage=study._storage)
    assert [(t.state, t.user_attrs) for t in other.trials] == [(TrialState.RUNNING, {})]
    together(study, lambda: study.tell(trial, 0.5))  # and the storage goes on
    assert other.trials[0].value == 0.5


def test_a_question_for_what_is_not_there_leaves_the_rest_as_it_is(study: optuna.Study) -> None:
    def writes() -> None:
        trial = study.ask()
        with pytest.raises(KeyError):
            study._storage.get_trial_id_from_study_id_trial_number(study._study_id, 99)
        trial.set_user_attr("a", 1)

    together(study, writes)
    other = optuna.load_study(study_name=study.study_name, storage=study._storage)
    assert [t.user_attrs for t in other.trials] == [{"a": 1}]


def test_nobody_sees_a_trial_before_all_of_it_is_written(
    study: optuna.Study, tmp_path: Path
) -> None:
    elsewhere = optuna.load_study(
        study_name=study.study_name, storage=open_storage(f"sqlite:///{tmp_path}/study.db")
    )
    seen = []

    def asked() -> None:
        trial = study.ask()
        seen.append(len(elsewhere.get_trials()))
        together(study, lambda: trial.set_user_attr("inside", "another"))
        seen.append(len(study.get_trials()))

    together(study, asked)
    assert (seen, len(elsewhere.get_trials())) == ([0, 1], 1)
    assert elsewhere.trials[0].user_attrs == {"inside": "another"}


def test_all_of_it_is_written_again_where_the_server_was_away(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, trial = backend(study), study.ask()
    monkeypatch.setattr(storage, "_is_server", True)  # SQLite as one that goes away
    monkeypatch.setattr(waiting, "sleep", lambda _: None)
    tries = []

    def writes() -> None:
        tries.append(len(tries))
        trial.set_user_attr("tries", len(tries))
        if len(tries) < 3:
            raise LOST
        study.tell(trial, 0.5)

    together(study, writes)
    assert (tries, study.trials[0].user_attrs, study.trials[0].value) == (
        [0, 1, 2],
        {"tries": 3},
        0.5,
    )


def test_a_trial_whose_end_was_written_and_not_answered_has_ended(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, trial = backend(study), study.ask()
    monkeypatch.setattr(storage, "_is_server", True)
    monkeypatch.setattr(waiting, "sleep", lambda _: None)
    transaction, tries = storage._transaction, []

    @contextmanager
    def unanswered() -> Iterator[None]:
        with transaction():
            yield
        if not tries:
            tries.append(1)
            raise StorageInternalError("no answer") from LOST

    monkeypatch.setattr(storage, "_transaction", unanswered)

    def writes() -> None:
        trial.set_user_attr("a", 1)
        study.tell(trial, 0.5)

    together(study, writes)
    assert (study.trials[0].value, study.trials[0].user_attrs, tries) == (0.5, {"a": 1}, [1])


def test_it_ends_where_the_server_stays_away(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend(study), "_is_server", True)
    monkeypatch.setattr(waiting, "sleep", lambda _: None)
    monkeypatch.setattr(patient, "PATIENCE_S", 0.05)

    def writes() -> None:
        raise LOST

    with pytest.raises(StorageInternalError):
        together(study, writes)


def test_garbage_is_looked_for_again_after_many_trials_were_read(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(f"sqlite:///{tmp_path}/study.db"))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert len(study.trials) == 2
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), uncollected():
        assert not gc.isenabled()
        with uncollected():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer one has the last word"
        raise ZeroDivisionError
    assert gc.isenabled()
