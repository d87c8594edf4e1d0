"""A storage is opened where it keeps what is written, by several at once, and damage is said."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.exc import OperationalError, PendingRollbackError

from objectives import waiting
from objectives.errors import BadInput
from study.storage.backends import patient
from study.storage.url import open_storage

LOST = (  # the second is what Optuna's next question in the same transaction gets
    OperationalError("UPDATE", {}, Exception("server closed the connection")),
    PendingRollbackError("cannot reconnect until the transaction is rolled back"),
)
MEMORY = ("sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true")


@pytest.mark.parametrize("url", MEMORY)
def test_a_storage_in_memory_is_refused(url: str) -> None:
    with pytest.raises(BadInput, match="in memory, and would be lost"):
        open_storage(url)


def test_a_url_that_cannot_be_read_is_named_without_its_password() -> None:
    with pytest.raises(BadInput, match="cannot open the storage") as caught:
        open_storage("postgresql://me:secret@host:no/study")
    assert "secret" not in str(caught.value)


def test_several_may_make_one_file_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    with ThreadPoolExecutor(6) as pool:
        assert len([*pool.map(lambda _: open_storage(url), range(6))]) == 6


@pytest.mark.parametrize("busy_s", [20.0, 0.05])
def test_a_file_that_is_busy_for_a_while_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy_s: float
) -> None:
    monkeypatch.setattr(patient, "BUSY_S", busy_s)  # after which it is asked again
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    with closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(1) as pool:
            made = pool.submit(optuna.create_study, storage=storage, study_name="s")
            waiting.sleep(0.5)
            assert not made.done()
            other.execute("COMMIT")
            assert made.result().study_name == "s"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE trials SET state = 'NOPE'",
        "UPDATE trials SET datetime_start = 'yesterday'",
        "UPDATE trial_values SET value = NULL",
        "UPDATE trial_params SET param_value = 1e9",
        "UPDATE trial_params SET distribution_json = '{}'",
        "UPDATE trial_user_attributes SET value_json = '{'",
        "UPDATE study_user_attributes SET value_json = '['",
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path: Path, damage: str) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    study.set_user_attr("a", 1)
    trial = study.ask()
    trial.suggest_categorical("x", ["a", "b"])
    trial.set_user_attr("b", [1])
    study.tell(trial, 1.0)
    with closing(sqlite3.connect(tmp_path / "study.db")) as opened, opened:
        assert opened.execute(damage).rowcount
    with pytest.raises(BadInput, match="is damaged") as refused:
        again = optuna.load_study(storage=open_storage(url), study_name="s")
        assert again.user_attrs and again.get_trials()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("is_server", [True, False])
def test_a_server_that_restarts_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_server: bool
) -> None:
    storage = patient.PatientStorage(f"sqlite:///{tmp_path}/study.db")
    storage._is_server = is_server
    study = optuna.create_study(storage=storage)
    calls, usual = list[int](), RDBStorage.set_trial_user_attr

    def lost_twice(self: RDBStorage, trial_id: int, key: str, value: object) -> None:
        calls.append(trial_id)
        if len(calls) <= 2:
            raise StorageInternalError("lost") from LOST[len(calls) - 1]
        usual(self, trial_id, key, value)

    monkeypatch.setattr(patient, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(RDBStorage, "set_trial_user_attr", lost_twice)
    trial = study.ask()
    if not is_server:
        with pytest.raises(StorageInternalError):
            trial.set_user_attr("a", 1)
        return
    trial.set_user_attr("a", 1)
    assert study.trials[0].user_attrs == {"a": 1} and len(calls) == 3
