"""A script ends well whatever comes while it still imports, and whoever stops reading it.

Every script imports it first. There is nothing to stop or keep until then, so that a signal ends
it at once; `study.cli.exit_codes.exiting` turns one into an orderly end. What a terminal or a pipe
cannot spell (±, in ASCII) becomes a question mark. A reader that leaves (`| head -1`), or a
terminal that is gone, ends nothing: what is said after that is heard by nobody, and the work and
its exit code are the same. So it is with one that was closed from the start (`2>&-`): no file of
ours takes its number. So does a signal that comes once all is done: Python would take away its
handlers before it ends.
"""

from __future__ import annotations

import atexit
import errno
import gc
import io
import os
import signal
import sys
from types import FrameType
from typing import Any

MADE = 50_000  # things, before it is looked whether some of them are garbage
GONE = (errno.EPIPE, errno.EIO)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Output(io.FileIO):
    """This output goes nowhere once nobody reads it any more."""

    def write(self, data: Any) -> int:
        """Write what is said."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in GONE:
                raise
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def open_closed() -> None:
    """Let closed standard streams go nowhere, so that no file takes the number of one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def heard(stream: object, number: int) -> object:
    """Return a standard stream that outlives its reader; what a test put in its place stays."""
    if stream not in (sys.__stdout__, sys.__stderr__) or not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = Output(number, "wb", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),  # as PYTHONUNBUFFERED asks
        encoding=stream.encoding,
        errors="replace",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a handler's signature
    os._exit(130)


gc.set_threshold(MADE)  # most of what a command makes it keeps: modules, and trials
for signal_number in SIGNALS:
    if signal.getsignal(signal_number) is not signal.SIG_IGN:
        signal.signal(signal_number, _leave)
atexit.register(_ignore)
open_closed()
sys.stdout, sys.stderr = heard(sys.stdout, 1), heard(sys.stderr, 2)
