"""This module opens an Optuna storage by its URL, and reads and writes such URLs."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError

from objectives import waiting
from objectives.errors import BadInput
from study.storage.backends.patient import PatientStorage
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
    if url.startswith("grpc:"):
        return _proxy(url)
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


def _proxy(url: str) -> BaseStorage:
    try:
        from study.storage.backends.proxy import open_proxy  # noqa: PLC0415  its packages are an extra
    except ImportError as error:
        raise BadInput(
            f"the storage {without_password(url)} needs packages: "
            "python -m pip install 'gpu-allocation-study[grpc]'"
        ) from error
    return open_proxy(url)


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
    parsed = _parsed(url)
    if parsed is None or parsed.get_backend_name() != "sqlite":
        return False
    name = parsed.database or ""
    return not name or ":memory:" in name or parsed.query.get("mode") == "memory"


def sqlite_file(url: str) -> Path | None:
    """Return the file behind an SQLite URL; None for any other storage."""
    parsed = _parsed(url)
    if parsed is None or parsed.get_backend_name() != "sqlite" or not parsed.database:
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
    """Return a storage's URL with its password hidden, also where it is none that can be read.

    >>> without_password("postgresql://me:secret@host:port/study")
    'postgresql://***@host:port/study'
    """
    parsed = _parsed(url)
    if parsed is not None:
        return parsed.render_as_string(hide_password=True)
    return re.sub("//.*@", "//***@", url)


def _parsed(url: str) -> URL | None:
    """Return what a URL says; None where it is none, or its port no number."""
    try:
        return make_url(url)
    except (SQLAlchemyError, ValueError):
        return None
