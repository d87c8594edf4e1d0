"""Sends the workload to both servers at once, open loop, and collects the timed answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from objectives.load.client import Connection, Endpoints
from objectives.load.http_client import gates
from objectives.load.replies import Reply, Symptom
from objectives.plain_data.atomic import write_atomic
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

ENGINE_POLL_S = 0.25
GENERATOR = 2  # counts up when requests leave in another way: what another generator measured is not comparable


@dataclass(slots=True)
class Window:
    """What came back, what the engine said meanwhile, and why it ended early if it did.

    cpu_s: CPU time of this process while requests were under way
    """

    replies: list[Reply] = field(default_factory=list)
    kv_peak_pct: float | None = None
    preemptions: int | None = None
    aborted: Symptom | None = None
    started_s: float = 0.0
    cpu_s: float = 0.0

    def write(self, folder: Path) -> None:
        """Every request with its times to `replies.jsonl`, whole or not at all."""
        lines = (json.dumps(r.to_json()) + "\n" for r in self.replies)
        write_atomic(folder / "replies.jsonl", "".join(lines))


def drive(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    *,
    timeout_s: float,
    broken: Callable[[], Symptom | None],
) -> Window:
    """Replay scheduled requests open loop, both services at once, until the last has answered.

    broken: asked a few times a second; a symptom ends the window: a server or a tenant has died
    """

    async def run() -> Window:
        with Connection(endpoints, clips, timeout_s) as connection:
            return await _drive(connection, requests, broken)

    return asyncio.run(run())


async def _drive(
    connection: Connection, requests: Sequence[Request], broken: Callable[[], Symptom | None]
) -> Window:
    window = Window()
    bodies = [connection.prepared(r) for r in requests]
    _, before = await connection.engine()
    window.started_s = start_s = time.monotonic() + 0.2
    preempted, cpu_s = before, time.process_time()

    async def one(request: Request, body: bytes, due: asyncio.Future[None]) -> None:
        reply = await connection.send(request, start_s + request.at_s, body, due)
        window.replies.append(reply)
        if reply.is_fatal:
            window.aborted = window.aborted or reply.symptom

    with gates([start_s + r.at_s for r in requests]) as due:
        sent = [
            asyncio.create_task(one(r, b, due[start_s + r.at_s]))
            for r, b in zip(requests, bodies, strict=True)
        ]
        whole = asyncio.gather(*sent)
        while not whole.done() and window.aborted is None:
            await asyncio.wait([whole], timeout=ENGINE_POLL_S)
            window.aborted = window.aborted or broken()
            usage, now = await connection.engine()
            preempted = preempted if now is None else now
            if usage is not None:
                window.kv_peak_pct = max(usage, window.kv_peak_pct or 0.0)
        if window.aborted is not None:
            whole.cancel()
        await asyncio.wait([whole])
        if window.aborted is None:
            whole.result()  # a bug of ours is no reply
    window.cpu_s = time.process_time() - cpu_s
    if before is not None and preempted is not None:
        window.preemptions = preempted - before
    return window


def one_by_one(
    endpoints: Endpoints, clips: Sequence[Clip], requests: Sequence[Request], *, timeout_s: float
) -> list[Reply]:
    """Send requests one after the other, each alone, each due when the one before has ended."""

    async def run() -> list[Reply]:
        replies: list[Reply] = []
        with Connection(endpoints, clips, timeout_s) as connection:
            for request in requests:
                body, now_s = connection.prepared(request), time.monotonic()
                if request.service == "stt":
                    replies.append(await connection.transcribe(request.clip, now_s, body))
                else:
                    replies.append(await connection.complete(body, now_s))
                if replies[-1].is_fatal:
                    break
        return replies

    return asyncio.run(run())
