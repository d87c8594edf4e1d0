"""A process is known again by its number, start, boot and command: numbers are given out anew."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
WORDS_S = 2.0  # in which the kernel tells the words of what has just begun


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process id names one process, also after it has ended and its number is another's.

    Args:
        pid: Its number.
        since_s: When it started, s after the boot, which no step of the clock changes.
        boot: The boot of the machine in which it runs.
        command: The words of its command line.
    """

    pid: int
    since_s: float
    boot: str
    command: tuple[str, ...]

    @property
    def is_running(self) -> bool:
        """Tell whether this very process runs."""
        try:
            process = psutil.Process(self.pid)
            return (
                self.boot == boot_id()
                and abs(_since_s(self.pid) - self.since_s) < 1.0
                and _words(process) == self.command
            )
        except (OSError, psutil.Error):
            return False

    def send(self, number: int) -> None:
        """Send a signal to this very process; where it has ended, to nobody."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            if self.is_running:  # what the handle holds cannot become another meanwhile
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


def process_id(pid: int) -> ProcessId:
    """Return the id of a process that runs.

    Raises:
        psutil.Error or OSError: It has ended.
    """
    process = psutil.Process(pid)
    return ProcessId(pid, _since_s(pid), boot_id(), _words(process))


def _words(process: psutil.Process) -> tuple[str, ...]:
    """Return the words of a command line; one that has just begun has none for a moment."""
    until_s = time.monotonic() + WORDS_S
    while not (words := process.cmdline()) and time.monotonic() < until_s:
        time.sleep(0.001)
    return tuple(words)


def boot_id() -> str:
    """Return a name of this boot: the kernel's own, and when process 1 began.

    A container's reboot changes only the second.
    """
    return f"{BOOT.read_text().strip()}/{_ticks(1)}"


def _since_s(pid: int) -> float:
    return int(_ticks(pid)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> str:
    """Return when a process started, as the kernel counts from the boot on.

    Raises:
        OSError: It has ended.
    """
    return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
