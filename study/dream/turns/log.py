"""Every line of the runner's log has the time and names its experiment."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from study.text import visible

RUNNER = "runner"  # stands where a line is about no single experiment


class TurnLog:
    """A log writes lines to the file and to standard output.

    Args:
        file: The file; processes add whole lines to it at the same time.
        name: The experiment that the lines are about.
    """

    def __init__(self, file: Path, name: str = RUNNER) -> None:
        self.file, self.name = file, name

    def line(self, text: str) -> None:
        """Write each line of the text."""
        for part in visible(text).splitlines():
            with suppress(OSError):  # a full disk ends no turn
                self.write(part)
            self._show(part)

    def _show(self, text: str) -> None:
        """Show one line, as long as anybody looks."""
        try:
            print(f"[{self.name}] {text}", flush=True)
        except OSError:  # what read it is gone; Python would fail once more at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def write(self, text: str) -> None:
        """Write one line to the file alone, by one write."""
        now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S")
        line = f"{now} [{self.name}] {text}\n".encode()
        descriptor = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def about(self, name: str) -> TurnLog:
        """Return the same log for lines about an experiment."""
        return TurnLog(self.file, name)


class Handler(logging.Handler):
    """This handler takes over what a study of ours says.

    Args:
        log: Where it goes.
    """

    def __init__(self, log: TurnLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the lines of a record."""
        try:
            for part in visible(record.getMessage()).splitlines():
                self._log.write(part)
        except OSError:
            print(record.getMessage(), file=sys.stderr)
