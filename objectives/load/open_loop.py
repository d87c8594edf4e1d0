"""This module sends requests open loop to both servers at once, and collects the answers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from objectives.load.client import Connection, Endpoints
from objectives.load.gates import on_time
from objectives.load.open_turn import OpenTurn
from objectives.load.replies import Reply, Symptom
from objectives.plain_data.atomic import write_atomic
from objectives.traffic.clips import Clip
from objectives.traffic.trace import in_turns
from objectives.traffic.workload import Request

ENGINE_POLL_S = 0.25
DRAIN_S = 30.0  # for what is open when a window is given up; then we hang up
# The version of the generator counts up when requests leave in another way: what another version
# measured is not comparable.
GENERATOR_VERSION = 2


@dataclass(slots=True)
class Window:
    """A window holds what came back, and what the engine reported meanwhile.

    Args:
        replies: The answers, in the order of their ends.
        kv_peak_pct: The highest usage of the KV cache, percent by service that reports it.
        preemptions: The number of preempted requests by service that reports it.
        aborted: Why the window ended early; None where it did not.
        is_given_up: Whether it ended early since the rest was not worth its time.
        is_drained: Whether every request that left was answered.
        started_s: Its start on the monotonic clock, seconds.
        cpu_s: The CPU time of this process while requests were under way, seconds.
    """

    replies: list[Reply] = field(default_factory=list)
    kv_peak_pct: dict[str, float] = field(default_factory=dict)
    preemptions: dict[str, int] = field(default_factory=dict)
    aborted: Symptom | None = None
    is_given_up: bool = False
    is_drained: bool = True
    started_s: float = 0.0
    cpu_s: float = 0.0

    def write(self, folder: Path) -> None:
        """Write every request with its times to `replies.jsonl`, whole or not at all."""
        lines = (json.dumps(r.to_json()) + "\n" for r in self.replies)
        write_atomic(folder / "replies.jsonl", "".join(lines))


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress is a window at the end of one of its segments.

    Args:
        replies: One for each request of the window: what has no answer yet is answered now, what
            has not left yet at once.
        start_s: The start of the window on the monotonic clock, seconds.
        ends_s: When each of its segments ends but the last, seconds from there.
        ended: How many of them are over.
    """

    replies: Sequence[Reply]
    start_s: float
    ends_s: Sequence[float]
    ended: int


def drive(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    *,
    timeout_s: float,
    broken: Callable[[], Symptom | None],
    ends_s: Sequence[float] = (),
    is_worth: Callable[[Progress], bool] = lambda _: True,
) -> Window:
    """Replay scheduled requests open loop, both services at once, until the last has answered.

    The first request of a turn leaves at its time, each other one once the one before has been
    answered.

    Args:
        endpoints: Where the servers listen.
        clips: The speech that requests name by number.
        requests: The requests, each with its time.
        timeout_s: The time that an answer may take, seconds.
        broken: It is called a few times a second and returns why the window must end: a server
            or a tenant has died.
        ends_s: When segments of the window end before it does, seconds from its start.
        is_worth: It is called at each of these, in a thread of its own, and returns whether the
            rest is worth its time; if not, what has left is waited for and nothing more is sent.
    """

    async def run() -> Window:
        with Connection(endpoints, clips, timeout_s) as connection:
            return await _drive(connection, requests, broken, ends_s, is_worth)

    return asyncio.run(run())


async def _drive(
    connection: Connection,
    requests: Sequence[Request],
    broken: Callable[[], Symptom | None],
    ends_s: Sequence[float],
    is_worth: Callable[[Progress], bool],
) -> Window:
    window, checked = Window(), 0
    bodied = [(turn, [connection.prepared(r) for r in turn]) for turn in in_turns(requests)]
    before = {s: (await connection.usage(s))[1] for s in connection.metered}
    window.started_s = start_s = time.monotonic() + 0.2
    latest, cpu_s = dict(before), time.process_time()

    def note(reply: Reply) -> None:
        window.replies.append(reply)
        if reply.is_fatal:
            window.aborted = window.aborted or reply.symptom

    turns = [OpenTurn(turn, own, start_s + turn[0].at_s) for turn, own in bodied]
    with on_time([turn.at_s for turn in turns]) as due:
        tasks = [asyncio.create_task(t.send(connection, due[t.at_s], note)) for t in turns]
        whole = asyncio.gather(*tasks, return_exceptions=True)
        while not whole.done() and window.aborted is None and not window.is_given_up:
            await asyncio.wait([whole], timeout=ENGINE_POLL_S)
            window.aborted = window.aborted or broken()
            for service in connection.metered:
                usage_pct, now = await connection.usage(service)
                latest[service] = latest[service] if now is None else now
                if usage_pct is not None:
                    peak_pct = window.kv_peak_pct.get(service, 0.0)
                    window.kv_peak_pct[service] = max(peak_pct, usage_pct)  # no NaN
            now_s = time.monotonic()
            ended = sum(start_s + end_s <= now_s for end_s in ends_s)
            if ended > checked and not whole.done():
                checked = ended
                under_way = [t for t, task in zip(turns, tasks, strict=True) if not task.done()]
                best = [r for turn in under_way for r in turn.at_best(now_s)]
                progress = Progress([*window.replies, *best], start_s, ends_s, ended)
                # what it keeps of this must not make requests late
                window.is_given_up = not await asyncio.to_thread(is_worth, progress)
        if window.is_given_up:
            for task, turn in zip(tasks, turns, strict=True):
                if turn.at_s > time.monotonic():
                    task.cancel()
            await _drain(whole, window, broken)
        if window.aborted is not None or window.is_given_up:
            whole.cancel()
        await asyncio.wait([whole])
        for task in tasks:
            if not task.cancelled():
                task.result()  # raises a bug of ours, which is no reply
    window.cpu_s = time.process_time() - cpu_s
    for service, count in before.items():
        if count is not None:
            window.preemptions[service] = (latest[service] or count) - count
    return window


async def _drain(
    left: asyncio.Future[Any], window: Window, broken: Callable[[], Symptom | None]
) -> None:
    """Wait for the answers to requests that have left, so that the next launch finds idle servers.

    An overloaded server may not be idle in time.
    """
    deadline_s = time.monotonic() + DRAIN_S
    while not left.done() and window.aborted is None and time.monotonic() < deadline_s:
        await asyncio.wait([left], timeout=ENGINE_POLL_S)
        window.aborted = window.aborted or broken()
    window.is_drained = left.done()


def one_by_one(
    endpoints: Endpoints, clips: Sequence[Clip], requests: Sequence[Request], *, timeout_s: float
) -> list[Reply]:
    """Send requests one after the other, each once the one before has ended; stop at a dead server.

    Args:
        endpoints: Where the servers listen.
        clips: The speech that requests name by number.
        requests: The requests; their times do not count.
        timeout_s: The time that an answer may take, seconds.
    """

    async def run() -> list[Reply]:
        replies: list[Reply] = []
        with Connection(endpoints, clips, timeout_s) as connection:
            for request in requests:
                body, now_s = connection.prepared(request), time.monotonic()
                replies.append(await connection.exchange(request, now_s, body))
                if replies[-1].is_fatal:
                    break
        return replies

    return asyncio.run(run())
