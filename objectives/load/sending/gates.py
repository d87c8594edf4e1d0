"""Gates open at scheduled times, within a fraction of a millisecond."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def on_time(due_s: Sequence[float]) -> Iterator[dict[float, asyncio.Future[None]]]:
    """Give a future for each time that is done within a fraction of a millisecond of it.

    A thread sleeps until each time, since epoll, and with it asyncio's own timers, count whole
    milliseconds.

    Args:
        due_s: The times on the monotonic clock, seconds.
    """
    loop, stopped = asyncio.get_running_loop(), threading.Event()
    futures = {at_s: loop.create_future() for at_s in sorted(due_s)}

    def ring() -> None:
        for at_s, gate in futures.items():
            if stopped.wait(max(0.0, at_s - time.monotonic())):
                return
            loop.call_soon_threadsafe(_open, gate)

    thread = threading.Thread(target=ring, name="on_time", daemon=True)
    thread.start()
    try:
        yield futures
    finally:
        stopped.set()
        thread.join()


def _open(gate: asyncio.Future[None]) -> None:
    if not gate.done():
        gate.set_result(None)
