"""Finds a study that is there: a storage by URL or file, a study by name; makes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from objectives.errors import BadInput
from study.storage.context import KEY
from study.storage.url import open_storage, shown, sqlite_file, sqlite_url
from study.text import meant

DEFAULT = Path("artifacts/h100_recorded/study.db")  # of the spec that ships


def storage_url(named: str | None) -> str:
    """The URL of a storage that exists, from a URL or the path of an SQLite file; None is the default study's.

    raises: BadInput where there is no such file, or another program's
    """
    url = named if named and "://" in named else sqlite_url(Path(named) if named else DEFAULT)
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        way_out = (
            "run python scripts/run_study.py first"
            if named is None
            else "name the study.db of a study that ran"
        )
        raise BadInput(f"there is no study in {file}; {way_out}")
    if file is not None and _is_foreign(file):
        raise _empty(url)
    return url


def folder_of(url: str) -> Path:
    """Where the artifacts of a storage's trials lie: beside an SQLite file, or in this folder."""
    file = sqlite_file(url)
    return file.parent if file is not None else Path()


def promotions_of(url: str) -> tuple[Path, ...]:
    """The folders of the promotions that a study of this storage wrote: a replay's beside it, a live one's above."""
    folder = folder_of(url)
    return folder / "promotions", folder.parent / "promotions"


def names(storage: BaseStorage) -> list[str]:
    """The studies of a storage that say what they asked, oldest first."""
    return [s.study_name for s in storage.get_all_studies() if KEY in s.user_attrs]


def refuse_empty(url: str, storage: BaseStorage) -> None:
    """Nothing, where a storage holds a study of this project.

    raises: BadInput where it holds none
    """
    if not names(storage):
        raise _empty(url)


def _empty(url: str) -> BadInput:
    way_out = "name the storage of one that ran, or run python scripts/run_study.py with this one"
    return BadInput(f"{shown(url)} holds no study of this project; {way_out}")


def _is_foreign(file: Path) -> bool:
    """Whether an SQLite file is no storage of Optuna's, which would add its tables to it."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            found = opened.execute("SELECT 1 FROM sqlite_master WHERE name = 'studies'").fetchone()
    except sqlite3.Error:
        return False  # no database at all, or one in use: opening it says so
    return found is None


def study_in(url: str, name: str | None = None) -> optuna.Study:
    """A study of a storage: by its name, or the newest.

    raises: BadInput where there is none, or none of that name
    """
    storage = open_storage(url)
    refuse_empty(url, storage)
    known = names(storage)
    if name is not None and name not in known:
        raise BadInput(f"{shown(url)} holds no study {name!r}; {meant(name, known)}")
    return optuna.load_study(study_name=name or known[-1], storage=storage)
