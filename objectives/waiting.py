"""Whatever waits looks here a few times a second whether its end was asked for or its time is over.

A signal sets a flag, which is raised where a wait looks, and nowhere else: a KeyboardInterrupt in
the middle of a commit leaves it half done, and one inside the garbage collector is swallowed.
"""

from __future__ import annotations

import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from objectives.errors import Overdue

LOOK_S = 0.2
PATIENCE_S = 3.0  # after which a further signal ends a process that does not look
STOPPED = 130  # the exit code
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_until_s: ContextVar[float] = ContextVar("_until_s", default=math.inf)


class _Stop:
    """The flag says when a signal asked for the end, and whether that was raised."""

    signal_s: float | None = None
    is_raised = False


def listen() -> None:
    """Let signals ask for the end; one that was ignored from the start, as by nohup, stays so."""
    _Stop.signal_s, _Stop.is_raised = None, False
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _ask)


def _ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  a handler's signature
    now_s = time.monotonic()
    if _Stop.signal_s is None:
        _Stop.signal_s = now_s
    elif not _Stop.is_raised and now_s - _Stop.signal_s > PATIENCE_S:
        os._exit(STOPPED)  # a long computation, which holds nothing that must be put back


def is_over() -> bool:
    """Return whether `check` would raise."""
    if threading.current_thread() is not threading.main_thread():
        return False
    is_asked = _Stop.signal_s is not None and not _Stop.is_raised
    return is_asked or time.monotonic() > _until_s.get()


def check() -> None:
    """Return where the wait may go on.

    Raises:
        KeyboardInterrupt: A signal asked for the end; it is raised once, so that what puts things
            back can wait.
        Overdue: The time of what is done here is over; that too is raised once.
    """
    if not is_over():
        return
    if _Stop.signal_s is not None and not _Stop.is_raised:
        _Stop.is_raised = True
        raise KeyboardInterrupt
    _until_s.set(math.inf)
    raise Overdue


def sleep(seconds: float) -> None:
    """Wait so long.

    Raises:
        KeyboardInterrupt or Overdue: As `check`.
    """
    until_s = time.monotonic() + seconds
    while True:
        check()
        if (left_s := until_s - time.monotonic()) <= 0:
            return
        time.sleep(min(left_s, LOOK_S))


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let every wait of the block end when so much time has passed.

    Raises:
        Overdue: It has.
    """
    token = _until_s.set(min(_until_s.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _until_s.reset(token)
