"""This module looks for some seconds at what a server's own page says of its KV cache."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from objectives import waiting
from objectives.apis.metrics_page import CachePage
from objectives.apis.short_requests import page
from objectives.engines.every import cache_on

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Pressure:
    """A KV cache was looked at some times; what its page lacks is None.

    Args:
        tokens: Its size in tokens.
        highest_pct: The fullest that it was in the looks, percent.
        preemptions: Requests that were put back for want of room, since the server started.
        waiting: The most requests that waited in the looks.
        looks: How often it was looked at.
        seconds: For how long.
    """

    tokens: int | None
    highest_pct: float | None
    preemptions: int | None
    waiting: int | None
    looks: int
    seconds: float


def pressure(
    port: int, for_s: float, read: Callable[[str], str | None] = page, look_s: float = LOOK_S
) -> Pressure | None:
    """Look at a server's `/metrics` for so long; None where it does not answer.

    Args:
        port: Of this machine, where the server listens.
        for_s: How long, seconds.
        read: Returns the text of a page.
        look_s: The time between two looks, seconds.
    """
    began_s = time.monotonic()
    pages = list[CachePage]()
    while True:
        answer = read(f"http://127.0.0.1:{port}/metrics")
        if answer is not None:
            pages.append(cache_on(answer))
        left_s = began_s + for_s - time.monotonic()
        if left_s <= 0 or answer is None:
            break
        waiting.sleep(min(look_s, left_s))
    if not pages:
        return None
    queues = [cache.waiting for cache in pages if cache.waiting is not None]
    return Pressure(
        tokens=pages[-1].tokens,
        highest_pct=max((c.used_pct for c in pages if c.used_pct is not None), default=None),
        preemptions=pages[-1].preemptions,
        waiting=int(max(queues)) if queues else None,
        looks=len(pages),
        seconds=time.monotonic() - began_s,
    )
