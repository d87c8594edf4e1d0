"""Finds a study that is there: a storage by URL or file, a study by name; makes nothing."""

from __future__ import annotations

from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from objectives.errors import BadInput
from study.entry import meant
from study.question import KEY
from study.search import open_storage, shown, sqlite_file, sqlite_url

DEFAULT = Path("artifacts/cpu_recorded/study.db")  # of the spec that ships


def storage_url(named: str | None) -> str:
    """The URL of a storage that exists, from a URL or the path of an SQLite file; None is the default study's.

    raises: BadInput where there is no such file
    """
    url = named if named and "://" in named else sqlite_url(Path(named) if named else DEFAULT)
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        way_out = "run python scripts/run_study.py first" if named is None else "name the study.db of a study that ran"
        raise BadInput(f"there is no study in {file}; {way_out}")
    return url


def folder_of(url: str) -> Path:
    """Where the artifacts of a storage's trials lie: beside an SQLite file, or in this folder."""
    file = sqlite_file(url)
    return file.parent if file is not None else Path()


def names(storage: BaseStorage) -> list[str]:
    """The studies of a storage that say what they asked, oldest first."""
    return [s.study_name for s in storage.get_all_studies() if KEY in s.user_attrs]


def study_in(url: str, name: str | None = None) -> optuna.Study:
    """A study of a storage: by its name, or the newest.

    raises: BadInput where there is none, or none of that name
    """
    storage = open_storage(url)
    known = names(storage)
    if not known:
        raise BadInput(
            f"{shown(url)} holds no study of this project; run python scripts/run_study.py with it once more"
        )
    if name is not None and name not in known:
        raise BadInput(f"{shown(url)} holds no study {name!r}; {meant(name, known)}")
    return optuna.load_study(study_name=name or known[-1], storage=storage)
