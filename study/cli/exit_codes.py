"""This module turns an error or an interruption into one sentence and the exit code of a command.

The codes: 0 done, 1 a fault of ours, 2 bad input and 3 set-up (`objectives.errors`), 4 nothing
feasible (`study.run`) or rejected and 5 inconclusive (`study.confirmation.confirm`), 3 a step that
failed, 5 rolled back and 6 not rolled back (`study.deploy.errors`), 130 stopped.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

from objectives import waiting
from objectives.errors import BadInput, SetupError, StudyError
from study.cli.say import at_width
from study.text import one_line, visible


@contextmanager
def exiting() -> Iterator[None]:
    """Turn our own errors into a sentence and an exit code.

    The codes are 2 for bad input, 3 for set-up, 130 for Ctrl-C, SIGTERM or SIGHUP: such a signal is
    raised where the command next waits, or at its end. Its linear algebra takes one core: matrices
    are small here, and threads that wait for one another take thrice the time of a core.
    """
    handlers = {number: signal.getsignal(number) for number in waiting.SIGNALS}
    waiting.listen()
    try:
        with threadpool_limits(1, "blas"):
            yield
        waiting.check()
    except StudyError as error:
        text = one_line(str(error)) if isinstance(error, BadInput) else visible(str(error))
        _say(f"error: {text}")
        raise SystemExit(error.exit_code) from None
    except _failures_of_storage() as error:  # a full disk, a storage that went away
        text, *_ = str(_first_of_storage(error)).splitlines()
        way_out = "run it as a user who may, such as with sudo"
        if not isinstance(error, PermissionError):
            way_out = "state is kept: run again to go on"
        _say(f"error: {text}; {way_out}")
        raise SystemExit(SetupError.exit_code) from None
    except KeyboardInterrupt:
        _say("stopped; servers ended, state kept: run the same command again to go on")
        raise SystemExit(waiting.STOPPED) from None
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _say(text: str) -> None:
    print(at_width(text, sys.stderr), file=sys.stderr)


def _first_of_storage(error: BaseException) -> BaseException:
    """Return what failed first: after a full disk SQLite may miss its savepoint too."""
    first = step = error.__cause__ or error
    sql = sys.modules.get("sqlalchemy.exc")
    while sql and (before := step.__cause__ or step.__context__) is not None:
        step = before
        if isinstance(step, sql.DBAPIError):
            first = step
    return first


def _failures_of_storage() -> tuple[type[Exception], ...]:
    """Return the errors of a storage, without importing Optuna, which is slow, for one name."""
    optuna = sys.modules.get("optuna.exceptions")
    return (OSError, optuna.StorageInternalError) if optuna else (OSError,)
