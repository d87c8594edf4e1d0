"""A patient storage waits for its server, writes much at once, and says what is damaged."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.storages._rdb import storage as of_optuna
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session

from objectives import waiting
from objectives.errors import BadInput
from objectives.plain_data.by_type import ODD_DATA
from study.storage.garbage import uncollected
from study.storage.tables.changed import ChangedStorage
from study.storage.tables.versions import KnownVersions
from study.text import one_line

BUSY_S = 20.0  # another process may hold an SQLite file so long, before it is asked again
PATIENCE_S = 120.0  # a restart of a server takes seconds, a failover a minute
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
# what optuna's cache asks for besides the methods of every storage
OF_CACHE = ("_create_new_trial", "_get_best_trial_id", "_get_trials", "_set_trial_param")
READS, WRITES = ("get_", "_get_"), ("set_trial_", "_set_trial_")
READS_OF_ALL = ("get_all_studies", "get_all_trials", "_get_trials")
MAY_COLLIDE = ("set_study_system_attrs",)  # who calls it knows what to do
ENDINGS = {"set_trial_state_values": True, "together": None}  # what tells the end of a trial
T = TypeVar("T")
of_optuna._VersionManager = KnownVersions  # type: ignore[misc]  # each storage makes one


class PatientStorage(ChangedStorage):
    """Each method goes on where the server of the storage is back within two minutes.

    What may be written twice so is the same: all but a new trial is set by its name, and a new one
    that nobody knows of is freed by the next run.

    Args:
        url: The storage's, as SQLAlchemy takes it.
    """

    def __init__(self, url: str) -> None:
        is_file = url.startswith("sqlite")
        options = {"connect_args": {"timeout": BUSY_S}} if is_file else {"pool_pre_ping": True}
        self._is_server, self._open = not is_file, threading.local()
        super().__init__(url, engine_kwargs=options)
        self._sessions = self.scoped_session  # what asks for one may be in a transaction
        self._sessions.remove()  # that of the tables, so that the next ones are
        self._sessions.configure(expire_on_commit=False)  # each is closed after its commit
        self.scoped_session = self._session  # type: ignore[assignment]

    def _session(self) -> Session:
        """Return a session of the transaction that this thread has open, or one of its own.

        One that fails in a transaction undoes what it wrote alone: a question for a trial that is
        not there fails too.
        """
        if not self._is_inside:
            return self._sessions()
        return Session(self._open.connection, join_transaction_mode="create_savepoint")

    @property
    def _is_inside(self) -> bool:
        """Return whether this thread has a transaction open."""
        return getattr(self._open, "connection", None) is not None

    def remove_session(self) -> None:
        """Close the session of this thread."""
        self._sessions.remove()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Let what this thread writes in the block be one transaction: all of it, or nothing."""
        try:
            with self.engine.begin() as connection:
                if not self._is_server:  # it would fail where it writes after another process did
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                self._open.connection = connection
                try:
                    yield
                finally:
                    self._open.connection = None
        except SQLAlchemyError as error:
            self.forget()
            raise StorageInternalError("a transaction failed") from error
        except BaseException:
            self.forget()
            raise

    def together(self, writes: Callable[[], T]) -> T:
        """Call what writes several things in one transaction, again where its server was away.

        Args:
            writes: It writes by this storage, and may be called again.

        Returns:
            What it returns; None where it ended a trial, and only the answer was lost.
        """

        def written() -> T:
            with self._transaction():
                return writes()

        answer: T = writes() if self._is_inside else self._answered("together", written)
        return answer

    def patiently(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the storage until its server answers.

        Raises:
            StorageInternalError or SQLAlchemyError: It fails otherwise, or for too long.
            BadInput: What is stored cannot be read.
        """
        method: Callable[..., Any] = getattr(super(), name)
        if name.startswith(WRITES):
            self.note_write(args[0] if args else kwargs["trial_id"])
        if name not in READS_OF_ALL:
            return self._answered(name, lambda: method(*args, **kwargs))
        with uncollected():
            return self._answered(name, lambda: method(*args, **kwargs))

    def _answered(self, name: str, call: Callable[[], Any]) -> Any:
        is_inside = self._is_inside  # then all of it is called again
        until_s, wait_s, is_again = time.monotonic() + PATIENCE_S, FIRST_WAIT_S, False
        has_collided = False
        while True:
            try:
                return call()
            except (StorageInternalError, SQLAlchemyError) as error:
                if _collides(error) and not is_inside and name not in MAY_COLLIDE:
                    if has_collided:  # not with another process, whose row is there by now
                        raise self._damaged(_cause(error)) from error
                    has_collided = True
                    continue
                is_away = _is_lost(error) if self._is_server else _is_busy(error)
                if is_inside or not is_away or time.monotonic() > until_s:
                    raise
                is_again = True
                waiting.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            except UpdateFinishedTrialError:
                if is_again and name in ENDINGS:
                    return ENDINGS[name]  # it was told, and only the answer was lost
                raise
            except (AssertionError, *ODD_DATA) as error:
                # a KeyError is how Optuna says that there is no such study or trial
                is_absent = isinstance(error, KeyError) and name not in READS_OF_ALL
                if is_absent or not name.startswith(READS):
                    raise
                raise self._damaged(error) from error

    def _damaged(self, error: BaseException | None) -> BadInput:
        what = f"{type(error).__name__}: {getattr(error, 'orig', error)}"
        return BadInput(
            f"the storage {self.engine.url.render_as_string()} is damaged "
            f"({one_line(what)[:200]}); name another, or a copy from before"
        )


def _is_lost(error: Exception) -> bool:
    """Return whether the connection was lost or refused, rather than the statement."""
    cause = _cause(error)
    if isinstance(cause, PendingRollbackError):  # Optuna asked once more in the same transaction
        return True
    return isinstance(cause, DBAPIError) and (
        cause.connection_invalidated or isinstance(cause, OperationalError)
    )


def _collides(error: Exception) -> bool:
    """Return whether a row that is to be new is there already."""
    return isinstance(_cause(error), IntegrityError)


def _cause(error: Exception) -> BaseException | None:
    """Return what the database said: Optuna wraps most of it."""
    return error.__cause__ if isinstance(error, StorageInternalError) else error


def _is_busy(error: Exception) -> bool:
    """Return whether others held an SQLite file for longer than it waits: they may take turns."""
    cause = _cause(error)
    return isinstance(cause, OperationalError) and "database is locked" in str(cause.orig)


for _name in (*BaseStorage.__abstractmethods__, *OF_CACHE, "add_trials", "set_study_system_attrs"):
    setattr(PatientStorage, _name, partialmethod(PatientStorage.patiently, _name))
