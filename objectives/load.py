"""Sends the workload to both servers at once, open loop, and collects the timed answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from objectives.clips import Clip
from objectives.exchange import Connection, Endpoints, connecting, is_fatal
from objectives.measurement import Reply
from objectives.workload import Request

ENGINE_POLL_S = 0.25


@dataclass(slots=True)
class Window:
    """What came back, what the engine said meanwhile, and why it ended early if it did."""

    replies: list[Reply] = field(default_factory=list)
    kv_peak_pct: float | None = None
    preemptions: int | None = None
    aborted: str | None = None
    started_s: float = 0.0


def drive(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    *,
    timeout_s: float,
    broken: Callable[[], str | None],
) -> Window:
    """Replay scheduled requests open loop, both services at once, until the last has answered.

    broken: asked a few times a second; a sentence ends the window (a server has died, a tenant has)
    """
    return asyncio.run(_drive(endpoints, clips, requests, timeout_s, broken))


async def _drive(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    timeout_s: float,
    broken: Callable[[], str | None],
) -> Window:
    window = Window()
    async with connecting() as client:
        connection = Connection(endpoints, clips, timeout_s, client)
        bodies = [connection.prepared(r) for r in requests]
        _, before = await connection.engine()
        window.started_s = start_s = time.monotonic() + 0.2
        pending = {asyncio.create_task(connection.send(r, start_s, b)) for r, b in zip(requests, bodies, strict=True)}
        preempted = before
        while pending and window.aborted is None:
            done, pending = await asyncio.wait(pending, timeout=ENGINE_POLL_S, return_when=asyncio.ALL_COMPLETED)
            for task in done:
                window.replies.append(task.result())
                if is_fatal(task.result()):
                    window.aborted = task.result().complaint
            window.aborted = window.aborted or broken()
            usage, now = await connection.engine()
            preempted = preempted if now is None else now
            if usage is not None:
                window.kv_peak_pct = max(usage, window.kv_peak_pct or 0.0)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    if before is not None and preempted is not None:
        window.preemptions = preempted - before
    return window


def one_by_one(
    endpoints: Endpoints, clips: Sequence[Clip], requests: Sequence[Request], *, timeout_s: float
) -> list[Reply]:
    """Send requests one after the other, each alone, each due when the one before has ended."""

    async def run() -> list[Reply]:
        replies = []
        async with connecting() as client:
            connection = Connection(endpoints, clips, timeout_s, client)
            for request in requests:
                body = connection.prepared(request)
                replies.append(await connection.send(request, time.monotonic() - request.at_s, body))
                if is_fatal(replies[-1]):
                    break
        return replies

    return asyncio.run(run())
