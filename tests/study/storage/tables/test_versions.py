"""Tables of the current version are known without Alembic, and of another refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.storages._rdb import storage as of_optuna

from objectives.errors import BadInput
from study.storage.tables.versions import KnownVersions, newest_revision
from study.storage.url import open_storage, sqlite_url


@pytest.fixture
def file(tmp_path: Path) -> Path:
    open_storage(sqlite_url(file := tmp_path / "study.db"))
    return file


def test_the_newest_revision_is_that_of_alembic(file: Path) -> None:
    manager = RDBStorage(sqlite_url(file))._version_manager
    assert isinstance(manager, KnownVersions)
    assert newest_revision() == manager._create_alembic_script().get_current_head() is not None


def test_current_tables_are_opened_without_alembic(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alembic_migration", "alembic_script", "alembic_config"):
        monkeypatch.setattr(of_optuna, name, None)
    study = optuna.create_study(storage=open_storage(sqlite_url(file)))
    assert study.trials == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE alembic_version SET version_num = 'v2.4.0.a'",
        "UPDATE alembic_version SET version_num = 'v9.9.9.a'",
        "INSERT INTO alembic_version VALUES ('v2.4.0.a')",
    ],
)
def test_tables_of_another_version_are_refused(file: Path, change: str) -> None:
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute(change)
    with pytest.raises(BadInput, match=r"cannot open the storage .*(table schema|versions)"):
        open_storage(sqlite_url(file))
