"""A change works on a target: what all services run, files that try a version, stop and start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from study.deploy.config.values import Assignment, Values


@dataclass(frozen=True, slots=True)
class Life:
    """A life is one run of a service: when any field changes, it has restarted or died.

    Args:
        active: Whether it runs.
        invocation: systemd's id of this run.
        restarts: How often systemd restarted it by itself.
        result: How its last run ended; `success` or empty where nothing is wrong.
    """

    active: bool
    invocation: str
    restarts: int
    result: str = ""


class Target(Protocol):
    """A target holds all services of a deployment, as units or behind an env file."""

    kind: str

    def check(self) -> None:
        """Check that this target can be changed at all.

        Raises:
            BadInput: The user must change something first.
            SetupError: This machine lacks something.
        """

    def warnings(self) -> list[str]:
        """Return what a person should know before a change."""

    def dependents(self) -> list[str]:
        """Return the units that stop when ours stop, and run now."""

    def start_others(self, names: Sequence[str]) -> None:
        """Start what had stopped together with ours."""

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of what the user wrote, by unit or file."""

    def files(self, values: Values) -> dict[str, str]:
        """Return the files of a version with these values: text by name."""

    def own_files(self) -> dict[str, str]:
        """Return the files of version 0: what is there without us."""

    def first_files(self, own: Path) -> dict[str, str]:
        """Return what brings version 0 back, whose folder this is, from what is there now."""

    def like(self) -> os.stat_result | None:
        """Return whose owner and mode a version's files get; None: root's alone."""

    def current_text(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return the text in force now, under the same names, for a diff.

        Raises:
            PermissionError: This user may not read it.
        """

    def try_on(self, files: Mapping[str, str]) -> None:
        """Make a version the one that the next start takes, in a way that can be taken off."""

    def prepare(self) -> None:
        """Prepare everything that committing needs beside the one rename."""

    def take_off(self) -> None:
        """Have the next start take the version in force; fine when nothing was tried."""

    def stop(self) -> list[str]:
        """Stop both, last started first, and return the names of those that had to be killed."""

    def start(self, name: str) -> None:
        """Begin to start one service."""

    def life(self, name: str) -> Life:
        """Return this run of a service."""

    def running(self, a: Assignment) -> list[str | None] | None:
        """Return each value that the running processes carry; None: they cannot be seen."""

    def log(self, name: str, since_s: float | None) -> str:
        """Return what the run that `life` told last has logged.

        Args:
            since_s: Unix time in s from which on; None: since its start.
        """
