"""Tables of the current version are known without Alembic, and of another refused."""

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.storages._rdb import models
from optuna.storages._rdb import storage as of_optuna
from sqlalchemy import create_engine
from sqlalchemy.orm import scoped_session, sessionmaker

from objectives.errors import BadInput
from study.storage.tables.versions import KnownVersions
from study.storage.url import open_storage, sqlite_url

Alembics = KnownVersions.__mro__[1]  # what Optuna has in its place


@pytest.fixture
def file(tmp_path: Path) -> Path:
    open_storage(sqlite_url(file := tmp_path / "study.db"))
    return file


def test_revisions_are_those_of_alembic(file: Path) -> None:
    ours = open_storage(sqlite_url(file))._backend._version_manager
    assert isinstance(ours, KnownVersions)
    of_alembic = Alembics(ours.url, ours.engine, ours.scoped_session)
    for name in ("get_current_version", "get_head_version", "get_all_versions"):
        assert getattr(ours, name)() == getattr(of_alembic, name)()


def test_tables_are_made_and_opened_without_alembic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alembic_migration", "alembic_script", "alembic_config"):
        monkeypatch.setattr(of_optuna, name, None)
    url = sqlite_url(tmp_path / "study.db")
    optuna.create_study(storage=open_storage(url), study_name="s")
    assert optuna.load_study(storage=open_storage(url), study_name="s").trials == []


def test_tables_are_those_that_optuna_makes(file: Path, tmp_path: Path) -> None:
    engine = create_engine(url := sqlite_url(other := tmp_path / "other.db"))
    models.BaseModel.metadata.create_all(engine)
    Alembics(url, engine, scoped_session(sessionmaker(bind=engine)))
    query, made = "SELECT name, sql FROM sqlite_master ORDER BY name", []
    for each in (file, other):
        with closing(sqlite3.connect(each)) as opened:
            made.append(opened.execute(query).fetchall())
    assert made[0] == made[1]


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
