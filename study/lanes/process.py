"""The process of a lane is started, spoken to in lines, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from objectives.devices.busy_others import DRIVER
from objectives.plain_data.by_type import ODD_DATA
from study.lanes.messages import Message, line_of, message_of

PROGRAM = "from study.lanes.program import main; main()"
WORDS = (  # it finds what this process finds, wherever it was started
    *(sys.executable, "-P", "-c"),
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); ",
)
PIECE_BYTES = 2**18
PRIVATE = 0o600
LAST_WORDS = 300
LAST_S = 2.0  # from the end of its pipe until its own


class LaneProcess:
    """A lane's process runs from the start until it is closed or killed, or this process ends.

    Reading and writing never wait: a lane that is stopped must not stop the driver.

    Args:
        program: What it runs, in Python.
        log: The file for what it prints.
    """

    def __init__(self, program: str, log: Path) -> None:
        path = json.dumps([os.path.abspath(p) for p in sys.path])  # noqa: PTH100  "" is this folder
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        receiving, sending = os.pipe()  # beside its standard output, into which anything may print
        interpreter, safe, flag, code = WORDS
        try:
            with os.fdopen(
                os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE), "wb"
            ) as out:
                self._process = subprocess.Popen(
                    [interpreter, safe, flag, code + program, path, str(sending)],
                    stdin=subprocess.PIPE,
                    stdout=out,
                    stderr=out,
                    bufsize=0,
                    pass_fds=[sending],
                    start_new_session=True,  # a Ctrl-C is the driver's to answer
                    env={**os.environ, DRIVER: str(os.getpid())},
                )
        except BaseException:
            os.close(receiving)
            raise
        finally:
            os.close(sending)
        assert self._process.stdin  # noqa: S101  it is a pipe
        self._input, self.output = self._process.stdin, os.fdopen(receiving, "rb", buffering=0)
        for end in (self._input, self.output):
            os.set_blocking(end.fileno(), False)
        self._unsent, self._received = b"", b""

    @property
    def pid(self) -> int:
        """Return its number."""
        return self._process.pid

    def tell(self, message: Message) -> None:
        """Write a message, as much of it as the pipe takes now; `flush` writes the rest."""
        self._unsent += line_of(message)
        self.flush()

    def flush(self) -> None:
        """Write what is not written yet; a process that has ended reads none of it."""
        with suppress(BrokenPipeError, ValueError):
            while self._unsent:
                written = self._input.write(self._unsent)
                if not written:
                    return
                self._unsent = self._unsent[written:]

    def messages(self) -> list[Message] | None:
        """Return what it has told meanwhile; None once it tells nothing any more.

        Raises:
            ValueError: It told what no lane tells.
        """
        is_over = False
        while (data := self.output.read(PIECE_BYTES)) is not None:
            if not data:
                is_over = True
                break
            self._received += data
        *lines, self._received = self._received.split(b"\n")
        try:
            messages = [message_of(line) for line in lines]
        except ODD_DATA as error:
            raise ValueError(f"it told what no lane tells ({error})") from error
        return None if is_over and not messages else messages

    def close(self) -> None:
        """Let it end in good order: it hears nothing any more."""
        with suppress(BrokenPipeError):
            self._input.close()

    def has_ended(self) -> bool:
        """Return whether it has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it now, also where it is stopped; its servers' supervisors end what it ran."""
        self._process.kill()
        self._process.wait()
        self.close()
        self.output.close()

    def last_words(self) -> str:
        """Return how it ended, with the last line that it printed."""
        try:
            code = self._process.wait(LAST_S)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = self.log.read_text("utf-8", "replace").split("\n") if self.log.exists() else []
        said = next((line for line in reversed(lines) if line.strip()), "")
        return f"its process ended by {how}" + (
            f": {said[-LAST_WORDS:]}" if code > 0 and said else ""
        )
