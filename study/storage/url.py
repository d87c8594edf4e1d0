"""Opens an Optuna storage by its URL, and reads and writes such URLs."""

from __future__ import annotations

import logging
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from objectives.errors import BadInput
from study.text import one_line


def open_storage(url: str) -> BaseStorage:
    """The storage of a URL, made where it does not exist.

    raises: BadInput where it cannot be opened, in one line
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    try:
        storage = optuna.storages.get_storage(url)
        storage.get_all_studies()
    except (
        SQLAlchemyError,
        StorageInternalError,
        ImportError,
        ValueError,
        RuntimeError,
        OSError,
    ) as error:
        said = str(getattr(error, "orig", None) or error.__cause__ or error)
        raise BadInput(
            f"cannot open the storage {shown(url)} ({one_line(said)[:200]}); "
            "name another, such as --storage sqlite:///study.db"
        ) from error
    return storage


def sqlite_file(url: str) -> Path | None:
    """The file behind an SQLite URL; None for any other storage."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        return None
    return (
        Path(parsed.database) if parsed.get_backend_name() == "sqlite" and parsed.database else None
    )


def sqlite_url(file: Path) -> str:
    """The URL of an SQLite file, whatever characters its path has.

    >>> sqlite_url(Path("out/study.db"))
    'sqlite:///out/study.db'
    """
    url = URL.create("sqlite", database=str(file)).render_as_string()
    if sqlite_file(url) != file:
        raise BadInput(f"an SQLite URL cannot name {file}; name another --out, or a --storage")
    return url


def shown(url: str) -> str:
    """A storage's URL without its password."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return url
