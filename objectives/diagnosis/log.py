"""A parsed log tells whose it is, and in which phase its server was at each place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from objectives.diagnosis.patterns import matches_of, patterns

COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\^\[\[[0-9;]*m|[\x00-\x08\x0e-\x1f]")


class FailurePhase(StrEnum):
    """A failure phase says when a launch failed; a log tells the two after its beginning."""

    PRECHECK = "precheck"  # before anything was launched
    START = "start"
    LOAD = "load"


@dataclass(frozen=True, slots=True)
class Log:
    """A log keeps its text and the places where it tells its phase and its server.

    Args:
        text: The log without colours.
        quiet: The same with its meaningless lines blanked, so that positions agree.
        phases: The positions where `start`, `ready`, `load` or `stopped` begins, in order.
        speakers: The positions that tell whose log it is, by the APIs in patterns.yaml, in order.
    """

    text: str
    quiet: str
    phases: Sequence[tuple[int, str]]
    speakers: Sequence[tuple[int, str]]

    def phase(self, at: int) -> FailurePhase:
        """Return the phase at a position: by what stands before it, else by what comes after."""
        before = [name for place, name in self.phases if place <= at and name != "stopped"]
        following = next((name for _, name in self.phases if name != "stopped"), "start")
        is_start = before[-1:] == ["start"] or (not before and following != "load")
        return FailurePhase.START if is_start else FailurePhase.LOAD

    def was_stopped(self, at: int) -> bool:
        """Return whether the server had been told to stop before a position."""
        before = [name for place, name in self.phases if place < at and name != "load"]
        return before[-1:] == ["stopped"]

    def speaker(self, at: int) -> str | None:
        """Return the API of whose log it is at a position; None where no line tells."""
        before = [api for place, api in self.speakers if place <= at]
        return before[-1] if before else next((api for _, api in self.speakers), None)


def parse(log: str) -> Log:
    """Read a log as a server wrote it."""

    def marks(kind: str) -> list[tuple[int, str]]:
        regexes_by_name = patterns()[kind].items()
        return sorted(
            (match.start(), name)
            for name, regexes in regexes_by_name
            for match in matches_of(regexes, text)
        )

    text = COLOURS.sub("", log.replace("\r\n", "\n").replace("\r", "\n"))
    noise = f"(?im){'|'.join(patterns()['ignore'])}"
    quiet = re.sub(noise, lambda match: " " * len(match[0]), text)
    return Log(text, quiet, marks("phases"), marks("speakers"))
