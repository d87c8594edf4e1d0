"""A study's measuring windows are quiet: what else this runner runs on the CPU stands still then.

Whoever measures holds the lock of a file of its own meanwhile, and whoever computes shares the lock
of another one. A window has opened once nobody has that any more. The kernel gives all of them
back whatever becomes of a process.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from objectives import waiting

LOOK_S = 0.05
LONGEST_WAIT_S = 15.0  # for those who compute; what is stopped by force is gone by then
PATTERN, BUSY = "*.window", "cpu.busy"


class MeasuringWindow:
    """A window is open while the one who holds this file measures.

    Args:
        file: The file.
    """

    def __init__(self, file: Path) -> None:
        self._descriptor = _opened(file)
        self._busy = file.with_name(BUSY)
        self._is_open = False

    def set(self, *, is_open: bool) -> None:
        """Open or close it; when it has opened, everybody else stands still."""
        if is_open and not self._is_open:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
            deadline = time.monotonic() + LONGEST_WAIT_S
            while is_held(self._busy, alone=True) and time.monotonic() < deadline:
                waiting.sleep(LOOK_S / 5)
        elif self._is_open and not is_open:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._is_open = is_open


class Windows:
    """These are the windows of all who measure, as one sees them who computes.

    Args:
        folder: The folder of their files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = _opened(folder / BUSY)

    def is_open(self) -> bool:
        """Say whether anybody measures, or wants to."""
        return any(is_held(file) for file in self._folder.glob(PATTERN))

    def enter(self) -> float:
        """Wait until nobody measures, and say that one computes; return the wait, seconds.

        Raises:
            KeyboardInterrupt: A signal asked for the end.
        """
        began = time.monotonic()
        while True:  # first said, then looked: so that neither misses the other
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            if not self.is_open():
                return time.monotonic() - began
            self.leave()
            waiting.sleep(LOOK_S)

    def leave(self) -> None:
        """Say that one stands still."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def is_held(file: Path, *, alone: bool = False) -> bool:
    """Say whether somebody holds the lock of a file, without being in their way for long.

    Args:
        file: The file.
        alone: Whether one who shares it counts too.
    """
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _opened(file: Path) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
