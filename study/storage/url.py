"""Open an Optuna storage by its URL, and read and write such URLs."""

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
    """Return the storage of a URL, made where it does not exist.

    Raises:
        BadInput: It cannot be opened; the reason is one line.
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
        reason = one_line(str(getattr(error, "orig", None) or error.__cause__ or error))[:200]
        raise BadInput(
            f"cannot open the storage {without_password(url)} ({reason}); "
            "name another, such as --storage sqlite:///study.db"
        ) from error
    return storage


def sqlite_file(url: str) -> Path | None:
    """Return the file behind an SQLite URL; None for any other storage."""
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        return None
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return None
    return Path(parsed.database)


def sqlite_url(file: Path) -> str:
    """Return the URL of an SQLite file, whatever characters its path has.

    >>> sqlite_url(Path("out/study.db"))
    'sqlite:///out/study.db'

    Raises:
        BadInput: No such URL can name the file.
    """
    url = URL.create("sqlite", database=str(file)).render_as_string()
    if sqlite_file(url) != file:
        raise BadInput(f"an SQLite URL cannot name {file}; name another --out, or a --storage")
    return url


def without_password(url: str) -> str:
    """Return a storage's URL with its password hidden."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return url
