"""A watch sees an evaluator's time, its memory, what it prints, and who measures meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from objectives import waiting
from objectives.plain_data.units import MIB
from objectives.servers.supervision.supervisor import descendants
from study.dream.windows import Windows

LOOK_S = 0.05
MOST_PRINTED = 64 << 20  # bytes
TIMEOUT, MEMORY, WINDOW = "timeout", "memory", "window"


@dataclass(slots=True)
class EvaluationWatch:
    """A watch is kept over one evaluation.

    Args:
        process: The evaluator.
        earlier: What ran below this process before.
        log: What it prints.
        limit_s: The time after which it is given up, seconds.
        memory_mib: What it and all below it may hold together, MiB; None: no limit.
        windows: Those of others who measure, beside whom it must stand still; None: of nobody.
        is_pausable: Whether it goes on afterwards; else it is given up.
        paused_s: How long it stood still, seconds.
    """

    process: subprocess.Popen[bytes]
    earlier: frozenset[int]
    log: Path
    limit_s: float
    memory_mib: float | None
    windows: Windows | None
    is_pausable: bool
    paused_s: float = field(default=0.0, init=False)

    def wait(self) -> tuple[str, str] | None:
        """Wait for its end; return why it was not waited for, as a word and a sentence.

        Raises:
            KeyboardInterrupt: A signal asked for the end.
        """
        deadline = time.monotonic() + self.limit_s
        while True:
            left = deadline + self.paused_s - time.monotonic()
            try:
                self.process.wait(max(0.0, min(left, LOOK_S)))
            except subprocess.TimeoutExpired:
                waiting.check()
                if self.windows is not None and self.windows.is_open():
                    if not self.is_pausable:
                        return WINDOW, "a study measured meanwhile"
                    self._pause(self.windows)
                elif left <= LOOK_S and time.monotonic() >= deadline + self.paused_s:
                    return TIMEOUT, f"timeout_{self.limit_s:g}s"
                elif (held := self._beyond_mib()) is not None:
                    return MEMORY, f"it held {held:,.0f} MiB, {self.memory_mib:,.0f} are allowed"
                self._cut_log()
            else:
                return None

    def end(self) -> None:
        """Kill it and whatever it started, also what left its session."""
        empty_looks = 0
        deadline = time.monotonic() + 8.0
        while empty_looks < 2 and time.monotonic() < deadline:
            below = self._send(signal.SIGKILL)
            empty_looks = 0 if below else empty_looks + 1
            if below:
                time.sleep(0.01)
        self.process.wait()

    def _pause(self, windows: Windows) -> None:
        """Let all of it stand still until nobody measures."""
        began, stopped = time.monotonic(), set[int]()
        while not self._below() <= stopped:  # it may fork while it is being stopped
            stopped |= self._send(signal.SIGSTOP)
            time.sleep(LOOK_S / 5)
        windows.leave()
        windows.enter()
        self._send(signal.SIGCONT)
        self.paused_s += time.monotonic() - began

    def _below(self) -> set[int]:
        """Return all processes of this evaluation that live."""
        below = {*descendants(self.process.pid), *descendants(os.getpid())} - self.earlier
        return below | {self.process.pid} if self.process.poll() is None else below

    def _send(self, number: signal.Signals) -> set[int]:
        below = self._below()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return below

    def _beyond_mib(self) -> float | None:
        """Return what it holds, MiB, where that is too much."""
        if self.memory_mib is None:
            return None
        pids = (self.process.pid, *descendants(self.process.pid))
        if sum(map(_resident_mib, pids)) <= self.memory_mib:
            return None
        held = sum(map(_own_mib, pids))  # slower: what several share counts once
        return held if held > self.memory_mib else None

    def _cut_log(self) -> None:
        """Begin the log anew where it prints without end."""
        if self.log.stat().st_size > MOST_PRINTED:
            note = f"({MOST_PRINTED // MIB} MiB that it had printed before are gone)\n"
            with self.log.open("r+") as file:  # over its begin, or it may print before the note
                file.write(note)
                file.truncate()


def _resident_mib(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).memory_info().rss) / MIB
    return 0.0


def _own_mib(pid: int) -> float:
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).memory_full_info().pss) / MIB
    return _resident_mib(pid)
