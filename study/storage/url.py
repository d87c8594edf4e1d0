"""Open an Optuna storage by its URL, and read and write such URLs."""

from __future__ import annotations

import logging
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from objectives import waiting
from objectives.errors import BadInput
from study.storage.patient import PatientStorage
from study.text import one_line

RACES, RACE_S = 20, 0.1  # how often, and how long apart, tables are looked for that others make


def open_storage(url: str) -> BaseStorage:
    """Return the storage of a URL, made where it does not exist.

    Raises:
        BadInput: It cannot be opened, or would be lost with the process; the reason is one line.
    """
    logging.getLogger("optuna").setLevel(logging.WARNING)
    # it tells by a traceback of each statement that it asks another way
    logging.getLogger("optuna.storages._rdb.storage").setLevel(logging.ERROR)
    if is_in_memory(url):
        raise BadInput(
            f"the storage {url} is in memory, and would be lost at the end; "
            "name a file, such as --storage sqlite:///study.db"
        )
    if url.startswith("grpc"):
        raise BadInput(
            f"the storage {without_password(url)} is a gRPC proxy, through which a trial cannot be "
            "told in one transaction; name its database, such as --storage postgresql://..."
        )
    try:
        storage = optuna.storages.get_storage(_created(url))
        storage.get_all_studies()
    except (
        SQLAlchemyError,
        StorageInternalError,
        ImportError,
        ValueError,
        RuntimeError,
        OSError,
        AssertionError,
    ) as error:
        reason = one_line(_reason(error))[:200]
        raise BadInput(
            f"cannot open the storage {without_password(url)} ({reason}); "
            "name another, such as --storage sqlite:///study.db"
        ) from error
    return storage


def _created(url: str) -> PatientStorage:
    """Return the storage, whose tables another process may be making at the same moment."""
    for _ in range(RACES):
        try:
            return PatientStorage(url)
        except (OperationalError, ProgrammingError, IntegrityError, StorageInternalError) as error:
            if not isinstance(error, IntegrityError) and "already exists" not in _reason(error):
                raise
            waiting.sleep(RACE_S)
    return PatientStorage(url)


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error.__cause__ or error)


def is_in_memory(url: str) -> bool:
    """Return whether a URL names an SQLite database that no file holds.

    >>> [is_in_memory(f"sqlite://{rest}") for rest in ("", "/:memory:", "/study.db")]
    [True, True, False]
    """
    try:
        parsed = make_url(url)
    except SQLAlchemyError:
        return False
    if parsed.get_backend_name() != "sqlite":
        return False
    name = parsed.database or ""
    return not name or ":memory:" in name or parsed.query.get("mode") == "memory"


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
