"""Climbs the capacity ladder: voice sessions in a closed loop, more of them until a service misses its SLO."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from objectives.capacity.estimate import Rung, next_rung, verdict
from objectives.load.client import Connection, Endpoints
from objectives.load.replies import Reply, Symptom, quantile
from objectives.measurement import INFINITE
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request, Workload

POLL_S = 0.25
KV_FULL_PCT = 99.0


@dataclass(frozen=True, slots=True)
class Slo:
    """p95 limits of both services, milliseconds."""

    stt_p95_ms: float
    llm_p95_ms: float


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
    """The capacity ladder, bounded by `workload.ladder_s`; the second value says why it was aborted, if it was."""

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
        tried = {r.sessions: r.passed for r in rungs if r.passed is not None}
        sessions = next_rung(tried, start, workload.ladder_max_sessions)
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
    """What the sessions of one rung have lived through so far.

    latencies_ms: of every answered request, by service; waiting: service and send time of each open request
    """

    connection: Connection
    workload: Workload
    slo: Slo
    count: int
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {"stt": [], "llm": []})
    waiting: dict[int, tuple[str, float]] = field(default_factory=dict)
    turns_ms: list[float] = field(default_factory=list)
    symptom: Symptom | None = None

    async def hold(self, number: int) -> None:
        """One user: speak, let the LLM answer the grown conversation, pause, again."""
        w = self.workload
        seed = w.seed * 100_003 + self.count * 1009 + number
        ramp_s = w.session_pause_s if w.session_ramp_s is None else w.session_ramp_s
        await asyncio.sleep(ramp_s * number / self.count)
        tokens, turn = w.session_prompt_tokens, 0
        while True:
            clip = (number * 7 + turn) % len(self.connection.clips)
            heard = self._got(
                number, await self.connection.transcribe(clip, self._asked(number, "stt"))
            )
            body = self.connection.prepared(Request("llm", 0.0, tokens, w.output_tokens, seed=seed))
            said = self._got(
                number, await self.connection.complete(body, self._asked(number, "llm"))
            )
            is_whole = said.first_s is not None and heard.error is None
            self.turns_ms.append(
                ((said.first_s or 0.0) - heard.scheduled_s) * 1000.0 if is_whole else INFINITE
            )
            tokens, turn = min(tokens + w.session_turn_tokens, w.prompt_tokens[1]), turn + 1
            await asyncio.sleep(w.session_pause_s)

    def _asked(self, number: int, service: str) -> float:
        self.waiting[number] = (service, time.monotonic())
        return self.waiting[number][1]

    def _got(self, number: int, reply: Reply) -> Reply:
        del self.waiting[number]
        self.latencies_ms[reply.service].append(reply.latency_ms)
        if reply.is_fatal:
            self.symptom = self.symptom or reply.symptom
        return reply

    def verdict(self, service: str) -> bool | None:
        """Whether a service meets its limit; a request that still waits beyond it is a miss already."""
        limit_ms = self.slo.stt_p95_ms if service == "stt" else self.slo.llm_p95_ms
        open_ms = [
            (time.monotonic() - at_s) * 1000.0 for s, at_s in self.waiting.values() if s == service
        ]
        misses = sum(x > limit_ms for x in (*self.latencies_ms[service], *open_ms))
        return verdict(len(self.latencies_ms[service]), misses)


async def _rung(
    sessions: _Sessions, deadline: float, broken: Callable[[], Symptom | None]
) -> tuple[Rung, Symptom | None]:
    """Hold the sessions until both services are decided, one breaks, or the time is up."""
    tasks = [asyncio.create_task(sessions.hold(n)) for n in range(sessions.count)]
    passed: bool | None = None
    bound_by, kv_full, aborted = None, False, None
    while passed is None and aborted is None and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
        usage_pct, _ = await sessions.connection.engine()
        kv_full = kv_full or (usage_pct is not None and usage_pct >= KV_FULL_PCT)
        aborted = sessions.symptom or broken()
        verdicts = {s: sessions.verdict(s) for s in ("stt", "llm")}
        if aborted is None and False in verdicts.values():
            passed = False
            first = "stt" if verdicts["stt"] is False else "llm"
            bound_by = "kv" if first == "llm" and kv_full else first
        elif aborted is None and all(verdicts.values()):
            passed = True
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    counts = (len(sessions.latencies_ms["stt"]), len(sessions.latencies_ms["llm"]))
    felt = (quantile(sessions.turns_ms, 0.5), quantile(sessions.turns_ms, 0.95))
    return Rung(sessions.count, passed, *counts, bound_by, *felt), aborted
