"""An alarm clock opens gates at scheduled times, within a fraction of a millisecond."""

from __future__ import annotations

import asyncio
import ctypes
import heapq
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

LIBC = ctypes.CDLL(None, use_errno=True)
CLOCK_MONOTONIC, TFD_TIMER_ABSTIME = 1, 1
TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class _Time(ctypes.Structure):
    """A time of the kernel's says how often a timer rings again, and when it rings first."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("again_s", "again_ns", "at_s", "at_ns"))


class AlarmClock:
    """An alarm clock gives futures, the gates, that are done at their times.

    One timer of the kernel's wakes the event loop: epoll, and with it asyncio's own timers, count
    whole milliseconds, and a thread that slept until then would wait for the interpreter's lock.

    Args:
        timer: The file descriptor of the timer.
    """

    def __init__(self, timer: int) -> None:
        self._timer = timer
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0  # tells gates of one time apart

    def at(self, due_s: float) -> asyncio.Future[None]:
        """Return a future that is done at this time of the monotonic clock, seconds."""
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (due_s, self._count, gate))
        if self._waiting[0][2] is gate:
            self._wind()
        return gate

    def ring(self) -> None:
        """Open what is due, and wind the timer for the next."""
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            return  # it has been wound anew meanwhile
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, gate = heapq.heappop(self._waiting)
            if not gate.done():
                gate.set_result(None)
        if self._waiting:
            self._wind()

    def _wind(self) -> None:
        at_ns = max(1, round(self._waiting[0][0] * 1e9))
        value = _Time(0, 0, at_ns // 1_000_000_000, at_ns % 1_000_000_000)
        if LIBC.timerfd_settime(self._timer, TFD_TIMER_ABSTIME, ctypes.byref(value), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")


@contextmanager
def alarm_clock() -> Iterator[AlarmClock]:
    """Give the running event loop an alarm clock for as long as the block lasts."""
    timer = LIBC.timerfd_create(CLOCK_MONOTONIC, TFD_FLAGS)
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    loop, clock = asyncio.get_running_loop(), AlarmClock(timer)
    loop.add_reader(timer, clock.ring)
    try:
        yield clock
    finally:
        loop.remove_reader(timer)
        os.close(timer)
