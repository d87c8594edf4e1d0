"""The ladder adds voice sessions in a closed loop until a service misses its SLO."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from objectives.capacity.ladder_capacity import Rung, next_rung, verdict
from objectives.load.client import Connection, Endpoints
from objectives.load.figures_of_replies import nearest_rank
from objectives.load.replies import Reply, Symptom
from objectives.measurement import INFINITE
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request, Workload

POLL_S = 0.25
KV_FULL_PCT = 99.0


@dataclass(frozen=True, slots=True)
class Slo:
    """The SLO limits the 95th percentile of each service's latencies.

    Args:
        p95_ms: The limit by service, ms.
    """

    p95_ms: Mapping[str, float]

    def to_json(self) -> dict[str, float]:
        """Return the limits by flat name.

        >>> Slo({"llm": 6000.0}).to_json()
        {'llm_p95_ms': 6000.0}
        """
        return {f"{service}_p95_ms": limit_ms for service, limit_ms in self.p95_ms.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> Self:
        """Return the inverse of `to_json`."""
        return cls({name.removesuffix("_p95_ms"): limit_ms for name, limit_ms in data.items()})


def climb(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    workload: Workload,
    slo: Slo,
    *,
    start: int,
    broken: Callable[[], Symptom | None],
    on_rung: Callable[[int], None],
) -> tuple[list[Rung], Symptom | None]:
    """Climb the ladder for `workload.ladder_s` seconds at most.

    Args:
        endpoints: Where the servers listen.
        clips: The speech that sessions say in turn.
        workload: The sessions and the highest rung.
        slo: The limits of both services.
        start: The first number of sessions.
        broken: It is called a few times a second and returns why the ladder must end.
        on_rung: It is called with the number of sessions when a rung begins.

    Returns:
        The rungs, and why the ladder was aborted; None where it was not.
    """

    async def run() -> tuple[list[Rung], Symptom | None]:
        with Connection(endpoints, clips, workload.request_timeout_s) as connection:
            return await _climb(connection, workload, slo, start, broken, on_rung)

    return asyncio.run(run())


async def _climb(
    connection: Connection,
    workload: Workload,
    slo: Slo,
    start: int,
    broken: Callable[[], Symptom | None],
    on_rung: Callable[[int], None],
) -> tuple[list[Rung], Symptom | None]:
    rungs: list[Rung] = []
    deadline = time.monotonic() + workload.ladder_s
    while time.monotonic() < deadline:
        results = {r.sessions: r.passed for r in rungs if r.passed is not None}
        sessions = next_rung(results, start, workload.ladder_max_sessions)
        if sessions is None:
            break
        on_rung(sessions)
        rung, aborted = await _rung(
            _Sessions(connection, workload, slo, sessions), deadline, broken
        )
        rungs.append(rung)
        if aborted or rung.passed is None:
            return rungs, aborted
    return rungs, None


@dataclass(slots=True)
class _Sessions:
    """The sessions of one rung, and what they have measured so far.

    Args:
        connection: The servers.
        workload: The pauses and prompts of a session.
        slo: The limits of both services.
        count: The number of sessions.
        latencies_ms: The latency of every answered request, ms by service.
        waiting: The service and the time of each open request, by session.
        turns_ms: The times from a clip to the LLM's first content, ms.
        symptom: The first failure that ends the rung.
    """

    connection: Connection
    workload: Workload
    slo: Slo
    count: int
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waiting: dict[int, tuple[str, float]] = field(default_factory=dict)
    turns_ms: list[float] = field(default_factory=list)
    symptom: Symptom | None = None

    async def hold(self, number: int) -> None:
        """Act as one user: speak, let the LLM answer the grown conversation, pause, again."""
        w = self.workload
        seed = w.seed * 100_003 + self.count * 1009 + number
        ramp_s = w.session_pause_s if w.session_ramp_s is None else w.session_ramp_s
        await asyncio.sleep(ramp_s * number / self.count)
        tokens, turns = w.session_prompt_tokens, 0
        while True:
            clip = (number * 7 + turns) % len(self.connection.clips)
            turn = [
                await self._ask(
                    number, Request(service, 0.0, tokens, w.output_tokens, clip, seed=seed)
                )
                for service in self.connection.endpoints
            ]
            first_s = turn[-1].first_s
            is_whole = first_s is not None and all(reply.error is None for reply in turn)
            begin_s = turn[0].scheduled_s
            self.turns_ms.append(((first_s or 0.0) - begin_s) * 1000.0 if is_whole else INFINITE)
            tokens = min(tokens + w.session_turn_tokens, w.prompt_tokens[1])
            turns += 1
            await asyncio.sleep(w.session_pause_s)

    async def _ask(self, number: int, request: Request) -> Reply:
        """Send the next request of a session, and note its answer."""
        body, now_s = self.connection.prepared(request), time.monotonic()
        self.waiting[number] = (request.service, now_s)
        reply = await self.connection.exchange(request, now_s, body)
        del self.waiting[number]
        self.latencies_ms[reply.service].append(reply.latency_ms)
        if reply.is_fatal:
            self.symptom = self.symptom or reply.symptom
        return reply

    def verdict(self, service: str) -> bool | None:
        """Return whether a service meets its limit; None while that is undecided.

        A request that still waits beyond the limit is a miss already.
        """
        limit_ms = self.slo.p95_ms[service]
        open_ms = [
            (time.monotonic() - at_s) * 1000.0 for s, at_s in self.waiting.values() if s == service
        ]
        misses = sum(x > limit_ms for x in (*self.latencies_ms[service], *open_ms))
        return verdict(len(self.latencies_ms[service]), misses)


async def _rung(
    sessions: _Sessions, deadline: float, broken: Callable[[], Symptom | None]
) -> tuple[Rung, Symptom | None]:
    """Hold the sessions until both services are decided, one breaks, or the time is up."""
    connection = sessions.connection
    tasks = [asyncio.create_task(sessions.hold(n)) for n in range(sessions.count)]
    passed: bool | None = None
    bound_by, aborted, full = None, None, set[str]()
    while passed is None and aborted is None and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
        for service in connection.metered:
            usage_pct, _ = await connection.usage(service)
            if usage_pct is not None and usage_pct >= KV_FULL_PCT:
                full.add(service)
        aborted = sessions.symptom or broken()
        verdicts = {service: sessions.verdict(service) for service in connection.endpoints}
        if aborted is None and False in verdicts.values():
            passed = False
            first = next(service for service, is_met in verdicts.items() if is_met is False)
            bound_by = "kv" if first in full else first
        elif aborted is None and all(verdicts.values()):
            passed = True
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    counts = {service: len(sessions.latencies_ms[service]) for service in connection.endpoints}
    turns_ms = (nearest_rank(sessions.turns_ms, 0.5), nearest_rank(sessions.turns_ms, 0.95))
    return Rung(sessions.count, passed, counts, bound_by, *turns_ms), aborted
