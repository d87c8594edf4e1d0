"""A turn runs below a supervisor, which ends all of it whatever becomes of the runner."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import study
from objectives.servers.process import READABLE
from objectives.servers.supervision.guard import guard, supervised
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob

ROOT = Path(study.__file__).parents[1]
CODE = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    "from study.dream.turns.__main__ import main; main(sys.argv[1])"
)


@dataclass(slots=True)
class TurnProcess:
    """A turn process runs one turn, below its supervisor.

    Args:
        job: What it does.
    """

    job: TurnJob
    _process: subprocess.Popen[bytes] = field(init=False)
    _writing: int = field(init=False)
    _began: float = field(init=False)
    _is_stopping: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        folder = self.job.report.parent
        folder.mkdir(parents=True, exist_ok=True)
        self.job.report.unlink(missing_ok=True)
        reading, self._writing = os.pipe()
        status, log = self.job.report.with_suffix(".exit"), self._log
        log.unlink(missing_ok=True)
        command = [sys.executable, "-c", CODE, self.job.to_text()]
        self._began = time.monotonic()
        try:
            self._process = subprocess.Popen(
                supervised(guard(), (reading, status, log), f"turn-{uuid.uuid4().hex}", command),
                stdin=subprocess.DEVNULL,
                env={**os.environ, **READABLE},
                pass_fds=[reading],
                start_new_session=True,
            )
        finally:
            os.close(reading)

    @property
    def _log(self) -> Path:
        """Return the file of what its process prints."""
        return self.job.report.with_suffix(".log")

    @property
    def seconds(self) -> float:
        """Return how long it has run."""
        return time.monotonic() - self._began

    def poll(self) -> Report | None:
        """Return what became of it; None while it runs."""
        if self._process.poll() is None:
            return None
        self._close()
        report = Report.read(self.job.report)
        if report is None and self._is_stopping:  # before it could listen
            return Report(ending=TurnEnding.INTERRUPTED)
        if report is None:
            why = f"its process died before it could report; {self._log} says more"
            return Report(ending=TurnEnding.FAILED, reason=why)
        return report

    def stop(self, grace_s: float) -> None:
        """Ask it to end; it is killed after so many seconds."""
        self._is_stopping = True
        try:
            os.write(self._writing, f"stop {grace_s:g}\n".encode())
        except (BrokenPipeError, OSError):
            return  # it has ended by itself

    def kill(self) -> None:
        """Kill all of it."""
        self._close()
        self._process.wait(20)

    def _close(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1
