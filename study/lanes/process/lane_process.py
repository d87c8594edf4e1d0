"""The process of a lane on this machine is started, spoken to over pipes, and ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pynvml import NVMLError  # type: ignore[import-untyped]

from objectives.devices.busy_others import DRIVER
from objectives.devices.device_set import DeviceSet
from study.lanes.process.connection import CardGone, LaneConnection

PROGRAM = "from study.lanes.process.program import main; main()"
WORDS = (  # it finds what this process finds, wherever it was started
    *(sys.executable, "-P", "-c"),
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); ",
)
PIECE_BYTES = 2**18
PRIVATE = 0o600
LAST_WORDS = 300
LAST_S = 2.0  # from the end of its pipe until its own


class LaneProcess(LaneConnection):
    """A lane's process runs from the start until it is closed or killed, or this process ends.

    Args:
        program: What it runs, in Python.
        log: The file for what it prints.
        env: Its environment; None is that of this process.
        driver: The process below which are all lanes of this machine; None is this one.
    """

    def __init__(
        self,
        program: str,
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        driver: int | None = None,
    ) -> None:
        super().__init__()
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
                    env={
                        **(env or os.environ),
                        DRIVER: str(driver or os.getpid()),
                    },
                )
        except BaseException:
            os.close(receiving)
            raise
        finally:
            os.close(sending)
        assert self._process.stdin  # noqa: S101  it is a pipe
        self._input, self._output = self._process.stdin, os.fdopen(receiving, "rb", buffering=0)
        self.output = self._output
        for end in (self._input, self._output):
            os.set_blocking(end.fileno(), False)

    @property
    def pid(self) -> int:
        """Return its number."""
        return self._process.pid

    def send(self, data: bytes) -> int:
        """Write as much as the pipe takes now; return how many bytes that is."""
        with suppress(BrokenPipeError, ValueError):
            return self._input.write(data) or 0
        return 0

    def receive(self) -> bytes | None:
        """Return what the pipe holds, nothing at its end, and None where it holds nothing."""
        data: bytes | None = self._output.read(PIECE_BYTES)
        return data

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
        self._output.close()

    def last_words(self) -> str:
        """Return how it ended, with the last line that it printed."""
        try:
            code = self._process.wait(LAST_S)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = self.log.read_text("utf-8", "replace").split("\n") if self.log.exists() else []
        last = next((line for line in reversed(lines) if line.strip()), "")
        return f"its process ended by {how}" + (
            f": {last[-LAST_WORDS:]}" if code > 0 and last else ""
        )


@dataclass(frozen=True, slots=True)
class Here:
    """Lanes on this machine are its processes.

    Args:
        program: What they run, in Python.
    """

    program: str = PROGRAM

    def start(self, card: str, log: Path) -> LaneProcess:  # noqa: ARG002  it is told its cards
        """Start the process of a lane."""
        return LaneProcess(self.program, log)

    def free_mib(self, devices: DeviceSet) -> dict[str, float]:
        """Return what is free on cards, MiB by name.

        Raises:
            CardGone: One does not answer.
        """
        try:
            return {name: device.sample().free_mib for name, device in devices.items()}
        except NVMLError as error:
            raise CardGone(f"its card does not answer ({error})") from error
