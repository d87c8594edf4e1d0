"""A change of production that fails is undone or rolled back, or production is down."""

from __future__ import annotations

from objectives import waiting
from objectives.errors import SetupError, StudyError


class StepFailed(StudyError):
    """A step of a change did not hold, and the change is undone.

    Where nothing had begun yet, the set-up is at fault: exit 3.
    """

    exit_code = 3


def taken_stop() -> KeyboardInterrupt | None:
    """Take the signal that asked for the end, so that it ends nothing later; None: none came."""
    try:
        waiting.check()
    except KeyboardInterrupt as stop:
        return stop
    return None


def cause_of(error: BaseException) -> BaseException:
    """Return what ended a change: the signal where one asked for the end.

    It may have ended a command of systemd's first, and must not end what puts things back.
    """
    return taken_stop() or error


def why_of(error: BaseException) -> str:
    """Return why a change ended, for people."""
    if isinstance(error, KeyboardInterrupt):
        return "it was stopped by Ctrl-C, SIGTERM or SIGHUP"
    return str(error) if isinstance(error, StudyError | OSError) else type(error).__name__


def nothing_changed(error: OSError) -> SetupError:
    """Return what is said where a change could not be noted down, and so was not begun."""
    return SetupError(
        f"{error.strerror}: {error.filename}; nothing was changed: free some space "
        "or make it writable first"
    )


class RolledBack(StudyError):
    """The change was undone; production runs the last known good version, and its probes pass."""

    exit_code = 5


class ProductionDown(StudyError):
    """Not even the last known good version answers; the message says what to do."""

    exit_code = 6
