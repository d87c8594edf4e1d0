"""The trace file gets a line for each arrival, and can be read at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from objectives.capture.lengths import Lengths
from objectives.errors import BadInput
from objectives.services import ApiName

MOST_LINES = 100_000
MOST_S = 86_400.0
SERVICES: dict[ApiName, str] = {"completions": "llm", "transcription": "stt"}  # in a line
TURN_S = 120.0  # a turn's other request comes within so long of the first, or is not awaited


@dataclass(slots=True)
class _Half:
    """A half is the first line of a turn, which waits for the other service's."""

    service: str
    line: dict[str, Any]
    since_s: float


@dataclass(slots=True)
class TraceWriter:
    """A trace writer writes a trace line by line, each whole, and never over another file.

    Args:
        path: The file, which must not exist.
        failed: It is called with a sentence where the file cannot be written any more.

    Attributes:
        lines: How many lines it has.
    """

    path: Path
    failed: Callable[[str], None]
    lines: int = 0
    _size: int = 0
    _descriptor: int = -1
    _begin_s: float | None = None
    _turns: int = 0
    _halves: dict[str, _Half] = field(default_factory=dict)

    def open(self) -> None:
        """Make the file.

        Raises:
            BadInput: It is there already, or cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        try:
            self._descriptor = os.open(self.path, flags, 0o666)
        except FileExistsError as error:
            raise BadInput(
                f"{self.path} is there already, and no trace is written over; "
                "name another file, or remove it"
            ) from error
        except OSError as error:
            raise BadInput(
                f"{self.path} cannot be written ({error.strerror}); name another file"
            ) from error

    def begin(self, at_s: float) -> None:
        """Note the first arrival, on the monotonic clock; the trace begins there."""
        if self._begin_s is None:
            self._begin_s = at_s

    def add(self, api: ApiName, at_s: float, lengths: Lengths, turn: str) -> bool:
        """Write the line of an arrival; return whether it has a place in the trace.

        Args:
            api: The API that it is of.
            at_s: When it came, on the monotonic clock, seconds.
            lengths: Its lengths.
            turn: What its turn is called; empty where nothing told.
        """
        service = SERVICES[api]
        since_s = at_s - self._begin_s if self._begin_s is not None else 0.0
        line: dict[str, Any] = {"at_s": round(max(0.0, since_s), 6), "service": service}
        if api == "transcription":
            line["seconds"] = round(lengths.seconds or 0.0, 3)
        else:
            line |= {
                "prompt_tokens": lengths.prompt_tokens,
                "output_tokens": lengths.output_tokens,
            }
        if self._is_full(since_s):
            return False
        self.let_go(at_s - TURN_S)
        if not turn:
            self._write(line)
            return True
        half = self._halves.get(turn)
        if half is not None and half.service != service:
            del self._halves[turn]
            number, self._turns = self._turns, self._turns + 1
            self._write({**half.line, "turn": number}, {**line, "turn": number})
        elif half is not None:
            self._write(line)
        else:
            self._halves[turn] = _Half(service, line, at_s)
        return True

    def let_go(self, before_s: float = float("inf")) -> None:
        """Write halves of turns whose other half did not come, as requests of their own."""
        late = [turn for turn, half in self._halves.items() if half.since_s < before_s]
        for turn in late:
            self._write(self._halves.pop(turn).line)

    def close(self) -> None:
        """Write what waits, and close the file; one without a line is removed."""
        self.let_go()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if not self.lines:
            self.path.unlink(missing_ok=True)

    def _is_full(self, since_s: float) -> bool:
        lines = self.lines + len(self._halves)
        return self._descriptor < 0 or lines >= MOST_LINES or since_s > MOST_S

    def _write(self, *lines: dict[str, Any]) -> None:
        """Append lines with one call; what fails in between is taken back, and nothing follows."""
        if self._descriptor < 0:
            return
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            written, why = 0, error.strerror
        else:
            why = "the disk is full"
        if written == len(data):
            self._size += written
            self.lines += len(lines)
            return
        os.ftruncate(self._descriptor, self._size)
        os.close(self._descriptor)
        self._descriptor = -1
        self.failed(f"{self.path} gets no more lines ({why}); what it has can be read")
