"""A storage that waits for its server, and says in one line what is damaged."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partialmethod
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError, SQLAlchemyError

from objectives import waiting
from objectives.errors import BadInput
from objectives.plain_data.by_type import ODD_DATA
from study.text import one_line

BUSY_S = 60.0  # another process may hold an SQLite file so long
PATIENCE_S = 120.0  # a restart of a server takes seconds, a failover a minute
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 5.0
# what optuna's cache asks for besides the methods of every storage
OF_CACHE = ("_create_new_trial", "_get_best_trial_id", "_get_trials", "_set_trial_param")
READS = ("get_", "_get_")
READS_OF_ALL = ("get_all_studies", "get_all_trials", "_get_trials")


class PatientStorage(RDBStorage):
    """Each method goes on where the server of the storage is back within two minutes.

    What may be written twice so is the same: all but a new trial is set by its name, and a new one
    that nobody knows of is freed by the next run.
    """

    def __init__(self, url: str) -> None:
        is_file = url.startswith("sqlite")
        options = {"connect_args": {"timeout": BUSY_S}} if is_file else {"pool_pre_ping": True}
        self._is_server = not is_file
        super().__init__(url, engine_kwargs=options)

    def patiently(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of the storage until its server answers.

        Raises:
            StorageInternalError or SQLAlchemyError: It fails otherwise, or for too long.
            BadInput: What is stored cannot be read.
        """
        method: Callable[..., Any] = getattr(super(), name)
        until_s, wait_s, is_again = time.monotonic() + PATIENCE_S, FIRST_WAIT_S, False
        while True:
            try:
                return method(*args, **kwargs)
            except (StorageInternalError, SQLAlchemyError) as error:
                if not self._is_server or not _is_lost(error) or time.monotonic() > until_s:
                    raise
                is_again = True
                waiting.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            except UpdateFinishedTrialError:
                if is_again and name == "set_trial_state_values":
                    return True  # it was told, and only the answer was lost
                raise
            except (AssertionError, *ODD_DATA) as error:
                # a KeyError is how Optuna says that there is no such study or trial
                is_absent = isinstance(error, KeyError) and name not in READS_OF_ALL
                if is_absent or not name.startswith(READS):
                    raise
                what = f"{type(error).__name__}: {error}"
                raise BadInput(
                    f"the storage {self.engine.url.render_as_string()} is damaged "
                    f"({one_line(what)[:200]}); name another, or a copy from before"
                ) from error


def _is_lost(error: Exception) -> bool:
    """Return whether the connection was lost or refused, rather than the statement."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    if isinstance(cause, PendingRollbackError):  # Optuna asked once more in the same transaction
        return True
    return isinstance(cause, DBAPIError) and (
        cause.connection_invalidated or isinstance(cause, OperationalError)
    )


for _name in (*BaseStorage.__abstractmethods__, *OF_CACHE):
    setattr(PatientStorage, _name, partialmethod(PatientStorage.patiently, _name))
