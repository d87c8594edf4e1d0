"""What a change works on: the state of both services, the files that try a version, their stop and start."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from study.deploy.config.deployment import Name
from study.deploy.config.values import Assignment, Values


@dataclass(frozen=True, slots=True)
class Life:
    """One run of a service: when any of these changes, it has restarted or died."""

    active: bool
    invocation: str
    restarts: int
    result: str = ""


class Target(Protocol):
    """systemd units, or an env file with a restart command."""

    kind: str

    def check(self) -> None:
        """raises: BadInput or SetupError where this target cannot be changed at all."""

    def warnings(self) -> list[str]:
        """What a person should know before a change."""

    def dependents(self) -> list[str]:
        """What stops when ours stop, and runs now."""

    def start_others(self, names: Sequence[str]) -> None:
        """Start what had stopped together with ours."""

    def hashes(self) -> dict[str, str]:
        """SHA-256 by unit or file of what the user wrote."""

    def files(self, values: Values) -> dict[str, str]:
        """What a version with these values consists of: text by file name."""

    def own_files(self) -> dict[str, str]:
        """The same for version 0: what is there without us."""

    def like(self) -> os.stat_result | None:
        """Whose owner and mode a version's files get; None: everybody may read them, as units."""

    def current_text(self, files: Mapping[str, str]) -> dict[str, str]:
        """The text in force now, under the same names, for a diff."""

    def try_on(self, files: Mapping[str, str]) -> None:
        """Make a version the one that the next start takes, in a way that can be taken off."""

    def prepare(self) -> None:
        """Everything that committing needs beside the one rename."""

    def take_off(self) -> None:
        """Have the next start take the version in force, whatever was tried; fine when nothing was."""

    def has_trial(self) -> bool:
        """Whether anything is being tried."""

    def stop(self) -> list[str]:
        """Stop both, last started first; the names of those that had to be killed."""

    def start(self, name: Name) -> None:
        """Begin to start one."""

    def life(self, name: Name) -> Life:
        """This run of a service."""

    def running(self, a: Assignment) -> list[str | None] | None:
        """The value that the running processes carry, each time they carry one; None: cannot be seen."""

    def log(self, name: Name, since_s: float | None) -> str:
        """What this run has logged, from this time of the clock on."""
