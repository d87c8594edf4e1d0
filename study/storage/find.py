"""This module finds a study that is there, by name, URL or file, and makes nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
from optuna.storages import BaseStorage

from objectives.errors import BadInput
from study.storage.context import CONTEXT_ATTRIBUTE
from study.storage.url import open_storage, sqlite_file, sqlite_url, without_password
from study.text import meant

FOLDER = "folder"  # attribute of a study: where its files lie
BESIDE = "."  # in the folder of its SQLite file
DEFAULT = Path("artifacts/h200_recorded/study.db")  # of the spec that ships


def of_your_own() -> Path | None:
    """Return the newest study.db beside that of the default study; None where there is none."""
    found = {f: f.stat().st_mtime for f in DEFAULT.parent.parent.glob("*/study.db") if f != DEFAULT}
    return max(found, key=lambda file: found[file], default=None)


def left_out() -> str:
    """Return in a sentence which study is not the default one; empty where there is no other."""
    own = of_your_own()
    return (
        f"this is the study that ships, {DEFAULT}; to see the newest other, name {own}"
        if own
        else ""
    )


def storage_url(named: str | None) -> str:
    """Return the URL of a storage that exists.

    Args:
        named: A URL or the path of an SQLite file; None for that of the default study.

    Raises:
        BadInput: There is no such file, or it is another program's.
    """
    url = named if named and "://" in named else sqlite_url(Path(named) if named else DEFAULT)
    file = sqlite_file(url)
    if file is not None and not file.is_file():
        way_out = "name the study.db of a study that ran"
        if file in (DEFAULT, DEFAULT.parent):  # also where a command names it
            own = of_your_own()
            way_out = f"name {own}" if own else "run python scripts/run_study.py first"
        raise BadInput(f"there is no study in {file}; {way_out}")
    if file is not None and _is_foreign(file):
        raise _empty(url)
    return url


def keep_folder(study: optuna.Study, folder: Path, url: str) -> None:
    """Store with a study where its files lie, unless that is told already.

    Beside its SQLite file that is told as such, so that both can be moved.
    """
    beside = _beside(url).resolve() == folder.resolve()
    place = BESIDE if beside and sqlite_file(url) is not None else str(folder.resolve())
    if study.user_attrs.get(FOLDER) != place:
        study.set_user_attr(FOLDER, place)


def folder_of(url: str, study: optuna.Study | None = None) -> Path:
    """Return the folder of the files of a study: logs, replies and promotions.

    It is what the study says; else that of the SQLite file, or the current one.

    Args:
        url: The storage.
        study: The study; None for what is beside the storage.
    """
    place = None if study is None else study.user_attrs.get(FOLDER)
    if isinstance(place, str) and place.startswith("/") and Path(place).is_dir():
        return Path(place)
    return _beside(url)


def _beside(url: str) -> Path:
    file = sqlite_file(url)
    return file.parent if file is not None else Path()


def promotions_of(url: str, study: optuna.Study | None = None) -> tuple[Path, ...]:
    """Return the folders of the promotions that a study of this storage wrote.

    A replay's lies in its folder, a live study's above.
    """
    folder = folder_of(url, study)
    return folder / "promotions", folder.parent / "promotions"


def names(storage: BaseStorage) -> list[str]:
    """Return the names of the studies of a storage that hold their context, oldest first."""
    return [s.study_name for s in storage.get_all_studies() if CONTEXT_ATTRIBUTE in s.user_attrs]


def refuse_empty(url: str, storage: BaseStorage) -> None:
    """Refuse a storage that holds no study of this project.

    Raises:
        BadInput: It holds none.
    """
    if not names(storage):
        raise _empty(url)


def refuse_without_studies(url: str, storage: BaseStorage) -> None:
    """Refuse a storage without a study of this project or of an experiment of its runner.

    Raises:
        BadInput: It holds none.
    """
    if not any("identity" in s.user_attrs for s in storage.get_all_studies()):
        refuse_empty(url, storage)


def _empty(url: str) -> BadInput:
    way_out = "name the storage of one that ran, or run python scripts/run_study.py with this one"
    return BadInput(f"{without_password(url)} holds no study of this project; {way_out}")


def _is_foreign(file: Path) -> bool:
    """Return whether an SQLite file is no storage of Optuna's, which would add its tables to it."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as opened:
            query = "SELECT 1 FROM sqlite_master WHERE name = 'studies'"
            return opened.execute(query).fetchone() is None
    except (sqlite3.Error, UnicodeDecodeError):  # what it quotes may be damaged too
        return False  # no database at all, or one in use: opening it says so


def study_in(url: str, name: str | None = None) -> optuna.Study:
    """Return a study of a storage: by its name, or the newest.

    Raises:
        BadInput: There is none, or none of that name.
    """
    storage = open_storage(url)
    refuse_empty(url, storage)
    choices = names(storage)
    if name is not None and name not in choices:
        raise BadInput(f"{without_password(url)} holds no study {name!r}; {meant(name, choices)}")
    return optuna.load_study(study_name=name or choices[-1], storage=storage)
