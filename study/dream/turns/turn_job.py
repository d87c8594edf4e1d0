"""A turn is told a job and gives a report, both as plain data, which crosses a process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from objectives.errors import SetupError
from objectives.plain_data.atomic import write_atomic


class TurnEnding(StrEnum):
    """The ending says what became of a turn."""

    RAN = "ran"
    FINISHED = "finished"  # nothing is left to try
    STOPPED = "stopped"  # it cannot go on as it is written
    BUSY = "busy"  # somebody else uses its device
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnJob:
    """A job says which epoch a turn runs.

    Args:
        config: The D-REAM file.
        in_force: The copy of it that is in force, whatever becomes of the file.
        name: The experiment's name.
        root: The folder of all artifacts.
        logdir: The folder of logs.
        report: The file for the report.
        cores: The cores that it may use; none: all.
        generation: The generation of this cycle, from 0.
        is_confirming: Whether its candidate is to be confirmed, in place of a generation.
        left_s: What the budgets leave to it, seconds; None: no limit. Its first trial always ends.
    """

    config: Path
    in_force: Path
    name: str
    root: Path
    logdir: Path
    report: Path
    cores: tuple[int, ...] = ()
    generation: int = 0
    is_confirming: bool = False
    left_s: float | None = None

    @property
    def window_file(self) -> Path:
        """Return the file whose lock says that it measures."""
        return self.report.with_suffix(".window")

    def content(self) -> bytes:
        """Return the bytes of the file in force.

        Raises:
            SetupError: They are gone.
        """
        try:
            return self.in_force.read_bytes()
        except OSError as error:
            raise SetupError(f"{self.in_force} cannot be read ({error.strerror})") from error

    def to_text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_text(cls, text: str) -> TurnJob:
        """Return the inverse of `to_text`."""
        data: Mapping[str, Any] = json.loads(text)
        paths = {k: Path(data[k]) for k in ("config", "in_force", "root", "logdir", "report")}
        return cls(
            **paths,
            name=data["name"],
            cores=tuple(data["cores"]),
            generation=data["generation"],
            is_confirming=data["is_confirming"],
            left_s=data["left_s"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report says what became of a turn.

    Args:
        ending: How it ended.
        reason: Why, where it did not simply run.
        evaluated: How many candidates were evaluated.
        best: The best fitness so far; None where nothing was measured.
        best_params: The best candidate.
        is_better: Whether this turn found a better one.
        is_confirming: Whether its next turn is to confirm its candidate.
        held_s: How long it stood still for the measuring windows of others, seconds.
    """

    ending: TurnEnding
    reason: str = ""
    evaluated: int = 0
    best: float | None = None
    best_params: Mapping[str, Any] | None = None
    is_better: bool = False
    is_confirming: bool = False
    held_s: float = 0.0

    def write(self, path: Path) -> None:
        """Write it whole."""
        write_atomic(path, json.dumps(asdict(self), default=str))

    @classmethod
    def read(cls, path: Path) -> Report | None:
        """Return the report of a file; None where the turn died before it."""
        try:
            data = json.loads(path.read_text("utf-8"))
            return cls(**{**data, "ending": TurnEnding(data["ending"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None
