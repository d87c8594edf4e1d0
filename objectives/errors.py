"""Every error that this project raises on purpose stands in one tree.

StudyError            anything raised on purpose; str() is one sentence for a person
├── BadInput          the user's spec or arguments; exit 2
├── SetupError        the machine: a library, a flag, a port, a driver; exit 3
│   └── InUse         somebody else is using the device or the folder
├── ServerDied        a server exited before it was ready, or under load; carries its log
├── StartTimeout      a server was not ready in time; carries its log
├── Overdue           a measurement has used up its own time: interrupted, and tried once more
├── GivenUp           the rest of a measurement was not worth its time; carries the figures so far
└── TrialFailed       one measurement failed; carries its Diagnosis and the figures so far
    ├── OutOfMemory   the candidate's own doing: pruned, never launched again
    └── Disturbed     not known to be the candidate's doing: retried
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from objectives.diagnosis.diagnosis import Diagnosis


class StudyError(Exception):
    """This is the base of all errors that this project raises on purpose."""

    exit_code = 1


class BadInput(StudyError):
    """The spec or an argument is wrong; nothing has run and nothing was written.

    Args:
        what: What is wrong, with the way out.
        file: The name of the file in which it stands; empty: in none, or `what` names it.
        line: Its line there, from 1; None: the whole file, or its line is not known.
    """

    exit_code = 2

    def __init__(self, what: str, file: str = "", line: int | None = None) -> None:
        name = "".join(c if c.isprintable() else " " for c in file)
        at = "" if not file else f"{name}: " if line is None else f"{name}:{line}: "
        super().__init__(at + what)
        self.what, self.file, self.line = what, file, line


class SetupError(StudyError):
    """This machine cannot run the study as it is; the message says what to do."""

    exit_code = 3


class InUse(SetupError):
    """Somebody else is using the device or the folder: it is free again by itself."""


class ServerDied(StudyError):
    """A server's process ended by itself.

    Args:
        name: The server's name.
        log: The file that holds its output.
        exit_code: Its exit status; below zero the signal that ended it.
    """

    def __init__(self, name: str, log: Path, exit_code: int | None) -> None:
        super().__init__(
            f"the {name} server ended by itself with exit code {exit_code}; its log: {log}"
        )
        self.name = name
        self.log = log
        self.server_exit_code = exit_code


class StartTimeout(StudyError):
    """A server was not ready in time.

    Args:
        name: The server's name.
        log: The file that holds its output.
        timeout_s: The time that it had, seconds.
        why: How it refused a real request while it was healthy; empty where it did not.
    """

    def __init__(self, name: str, log: Path, timeout_s: float, why: str = "") -> None:
        but = f", but healthy: it refuses a real request ({why})" if why else ""
        what = f"the {name} server was not ready within {timeout_s:g} s{but}"
        super().__init__(f"{what}; its log: {log}")
        self.name = name
        self.log = log


class Overdue(StudyError):
    """What was done has used up its own time, summed from its parts before it began."""


class GivenUp(StudyError):
    """The rest of a measurement was not worth its time: the allocation cannot win.

    Args:
        measured: The figures known by then, under the names of `Measurement`.
    """

    def __init__(self, measured: Mapping[str, object]) -> None:
        super().__init__("the rest of the measurement was not worth its time")
        self.measured = dict(measured)


class TrialFailed(StudyError):
    """One measurement failed.

    Args:
        diagnosis: The failure, by its class, victim and evidence.
        measured: The figures known by then, under the names of `Measurement`, e.g.
            ``{"llm_start_s": 41.2}``.
    """

    def __init__(self, diagnosis: Diagnosis, measured: Mapping[str, object] | None = None) -> None:
        super().__init__(f"{diagnosis.failure_class}: {diagnosis.evidence}")
        self.diagnosis = diagnosis
        self.measured = dict(measured or {})


class OutOfMemory(TrialFailed):
    """The allocation does not work on this device: it is pruned with a graded constraint."""


class Disturbed(TrialFailed):
    """A failure may not be the candidate's doing: it is retried, then recorded as failed."""
