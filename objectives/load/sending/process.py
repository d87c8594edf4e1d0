"""The sending process is started, spoken to in lines of JSON, and ended."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from objectives import waiting
from objectives.errors import SetupError

PROGRAM = (  # it finds what this process finds, wherever it was started
    *(sys.executable, "-P", "-c"),
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); "
    "from objectives.load.sending.main import main; main()",
)
CLOSE_S = 2.0  # in which it ends by itself
PATIENCE_S = 60.0  # for its imports, for the bodies of a window, and until it reads
LAST_WORDS = 2000
AGAIN = "so that nothing was measured; run the same command again: what was measured before is kept"


class SendingProcess:
    """A sending process runs from the start until `close`, or until this process ends.

    Args:
        cores: The cores that it has to itself; none where it shares those of this process.
    """

    def __init__(self, cores: Collection[int]) -> None:
        path = json.dumps([os.path.abspath(p) for p in sys.path])  # noqa: PTH100  "" is this folder
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        receiving, sending = os.pipe()  # beside its standard output, into which anything may print
        try:
            self._process = subprocess.Popen(
                [*PROGRAM, json.dumps(sorted(cores)), str(sending), path],
                stdin=subprocess.PIPE,
                stdout=self._errors,
                stderr=self._errors,
                bufsize=0,
                pass_fds=[sending],
                start_new_session=True,  # a Ctrl-C is ours to answer
            )
        except BaseException:
            os.close(receiving)
            self._errors.close()
            raise
        finally:
            os.close(sending)
        assert self._process.stdin  # noqa: S101  it is a pipe
        self._input, self._output = self._process.stdin, os.fdopen(receiving, "rb", buffering=0)
        os.set_blocking(self._input.fileno(), False)
        self._received = b""

    @property
    def pid(self) -> int:
        """Return its number."""
        return self._process.pid

    def tell(self, **message: Any) -> None:
        """Write a message.

        Raises:
            SetupError: The process has ended by itself, or reads nothing of it for too long.
        """
        data = memoryview(json.dumps(message).encode() + b"\n")
        poll = select.poll()
        poll.register(self._input, select.POLLOUT)
        try:
            while data:
                if not poll.poll(PATIENCE_S * 1000):
                    raise SetupError(
                        f"the load generator's process read nothing for {PATIENCE_S:g} s, {AGAIN}"
                    )
                data = data[self._input.write(data) or 0 :]
        except BrokenPipeError as error:
            raise self._ended() from error

    def message(self, within_s: float) -> dict[str, Any] | None:
        """Return the next message; None where there is none within this time, seconds.

        Raises:
            SetupError: The process has ended by itself.
            KeyboardInterrupt or Overdue: As `objectives.waiting`.
        """
        until_s, poll = time.monotonic() + within_s, select.poll()
        poll.register(self._output, select.POLLIN)
        while b"\n" not in self._received:
            waiting.check()
            left_s = max(0.0, until_s - time.monotonic())
            if not poll.poll(min(left_s, waiting.LOOK_S) * 1000):
                if left_s <= waiting.LOOK_S:
                    return None
                continue
            if not (data := self._output.read(1 << 16)):
                raise self._ended()
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """End it, whatever it is doing."""
        with suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()

    def _ended(self) -> SetupError:
        """Return the error of a process that has ended by itself."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2.0)
        code = self._process.returncode
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - LAST_WORDS))
        words = self._errors.read().decode(errors="replace").strip()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        last = f"; its last words:\n{words}" if words else ""
        return SetupError(f"the load generator's process ended by itself ({how}), {AGAIN}{last}")
