"""A parsed log tells whose it is, and in which phase its server was at each place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from objectives.diagnosis.needles import may_match
from objectives.diagnosis.patterns import matches_of, patterns

FRAME = re.compile(r'File "[^"\n]+", line \d+')
BOX = re.compile(r"(?m)^[ \t]*[│┃|][ \t]?(?=.*[│┃|][ \t]*$)|[ \t]*[│┃][ \t]*$")
LEAST_WIDTH, LEAST_FULL_LINES = 60, 2
COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\^\[\[[0-9;]*m|[\x00-\x08\x0e-\x1f]")


class FailurePhase(StrEnum):
    """A failure phase says when a launch failed; a log tells the two after its beginning."""

    PRECHECK = "precheck"  # before anything was launched
    START = "start"
    LOAD = "load"


MOST_BYTES = 2**20  # of a log that is read; every rule goes over it
LONGEST_LINE = 4000  # characters
CUT = "[{:,} {} of this log are left out here]"


def read_log(path: Path) -> str:
    """Return a log as text; one that is too long, or a line of it, is cut in the middle.

    Raises:
        OSError: It cannot be read.
    """
    half = MOST_BYTES // 2
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(MOST_BYTES)
        if size > MOST_BYTES:
            file.seek(size - half)
            cut = CUT.format(size - 2 * half, "bytes").encode()
            data = b"".join((data[:half], b"\n", cut, b"\n", file.read(half)))
    return shortened(data.decode(errors="replace"))


def shortened(text: str) -> str:
    """Return a log with its long lines cut in the middle."""
    if len(text) <= LONGEST_LINE:
        return text
    return "\n".join(map(_shortened, text.split("\n")))


def _shortened(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    half = LONGEST_LINE // 2
    cut = CUT.format(len(line) - 2 * half, "characters")
    return f"{line[:half]} {cut} {line[-half:]}"


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


def parse(log: str, *, with_source: bool = False) -> Log:
    """Read a log as a server wrote it.

    Args:
        log: The log.
        with_source: Whether the source lines of tracebacks, which quote messages, count too.
    """

    def marks(kind: str) -> list[tuple[int, str]]:
        regexes_by_name = patterns()[kind].items()
        return sorted(
            (match.start(), name)
            for name, regexes in regexes_by_name
            for match in matches_of(regexes, text)
        )

    text = BOX.sub("", COLOURS.sub("", log.replace("\r\n", "\n").replace("\r", "\n")))
    quiet = text if with_source else _blanked(text)
    noise = "|".join(regex for regex in patterns()["ignore"] if may_match(regex, quiet))
    if noise:
        quiet = re.sub(f"(?im){noise}", lambda match: " " * len(match[0]), quiet)
    return Log(text, quiet, marks("phases"), marks("speakers"))


def unbroken(text: str) -> str:
    """Return a log's text with the lines joined that a terminal broke.

    It breaks either at its width, or between words: then a line goes on in lower case.
    """
    lines = text.split("\n")
    width = max(map(len, lines))
    is_full = [len(line) == width for line in lines]
    if width >= LEAST_WIDTH and sum(is_full) >= LEAST_FULL_LINES:
        ends = ["" if full else "\n" for full in is_full]
        return "".join(line + end for line, end in zip(lines, ends, strict=True))
    return re.sub(r"\n(?=[a-z])", " ", text)


def _blanked(text: str) -> str:
    """Return the text with the source lines of tracebacks blanked."""
    lines = text.split("\n")
    for n, line in enumerate(lines[:-1]):
        if (frame := FRAME.search(line)) is None:
            continue
        source, at = lines[n + 1], frame.start()
        if source[at : at + 2] == "  " and not FRAME.search(source):
            lines[n + 1] = " " * len(source)
    return "\n".join(lines)
