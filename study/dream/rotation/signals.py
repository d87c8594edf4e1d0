"""Signals wake the runner: one that it must stop, or that a turn has ended."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def woken(
    on_stop: Callable[[], None], on_reload: Callable[[], None]
) -> Iterator[Callable[[float], None]]:
    """Yield what waits for so many seconds, or until a signal comes.

    Args:
        on_stop: Called by a signal that asks for the end.
        on_reload: Called by the signal that asks to read the file anew.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        on_stop()

    def reload(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        on_reload()

    def wake(number: int, frame: FrameType | None) -> None:
        """Do nothing: the byte in the pipe wakes whoever waits."""

    before = {n: signal.signal(n, stop) for n in STOPPING}
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, reload)
    before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, wake)
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def pause(seconds: float) -> None:
        select.select([reading], [], [], max(0.0, seconds))
        try:
            while os.read(reading, 512):
                pass
        except BlockingIOError:
            return

    try:
        yield pause
    finally:
        signal.set_wakeup_fd(earlier)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)
