"""This module sends turns open loop, each through all services, in a ramp and in a hold alike."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from objectives.capacity.limits import Limit, latest_ms, missed
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import RampReply
from objectives.load.client import Connection, Endpoints
from objectives.load.gates import on_time
from objectives.load.open_turn import OpenTurn
from objectives.load.ramp import turn_times
from objectives.load.replies import Reply, Symptom
from objectives.traffic.clips import Clip
from objectives.traffic.turns import turn_requests
from objectives.traffic.workload import Workload

POLL_S = 0.5
PREPARED_S = 0.2  # so much before its time a turn's bodies are made
KV_FULL_PCT = 99.0
OPEN = "no answer when all had been drained"


@dataclass(slots=True)
class SentTurns:
    """What was sent holds what came back, in seconds from its start.

    Args:
        rate: The rate at which turns arrive.
        times_s: When each of them arrives, those that were never sent included.
        good: Whether each was good; None where that is not known yet, or it was never sent.
        sent: The number of turns that have left.
        replies: The answers, each with the number of its turn.
        kv_full_s: When a KV cache was first seen full; None where none was.
        aborted: Why it ended early; None where no server is to blame for its end.
    """

    rate: RampRate
    times_s: tuple[float, ...]
    good: list[bool | None] = field(init=False)
    sent: int = 0
    replies: list[RampReply] = field(default_factory=list)
    kv_full_s: float | None = None
    aborted: Symptom | None = None

    def __post_init__(self) -> None:
        self.good = [None] * len(self.times_s)


# whether no turn to come could change what is asked, so many seconds after the start
IsOver = Callable[[SentTurns, float], bool]


def drive_turns(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    workload: Workload,
    rate: RampRate,
    limits: Sequence[Limit],
    *,
    salt: int,
    broken: Callable[[], Symptom | None],
    is_over: IsOver,
) -> SentTurns:
    """Send turns at a rate until they are over, and wait for what is open.

    Args:
        endpoints: Where the servers listen, in the order in which a turn passes them.
        clips: The speech of the turns.
        workload: The seed, and the sizes of requests.
        rate: The rate at which turns arrive.
        limits: What a good turn meets.
        salt: A number that no other turns on these servers have, so that no prompt is cached.
        broken: It is called a few times a second and returns why all must end.
        is_over: It is called a few times a second and returns whether nothing more is to be sent.
    """

    async def run() -> SentTurns:
        with Connection(endpoints, clips, workload.request_timeout_s) as connection:
            return await _Running(connection, workload, rate, limits, salt).run(broken, is_over)

    return asyncio.run(run())


@dataclass(slots=True)
class _Running:
    """Turns under way.

    Args:
        waiting: The turns that are open, by their number.
    """

    connection: Connection
    workload: Workload
    rate: RampRate
    limits: Sequence[Limit]
    salt: int
    turns: SentTurns = field(init=False)
    waiting: dict[int, OpenTurn] = field(default_factory=dict)
    start_s: float = 0.0

    def __post_init__(self) -> None:
        self.turns = SentTurns(self.rate, turn_times(self.rate, self.workload.seed))

    async def run(self, broken: Callable[[], Symptom | None], is_over: IsOver) -> SentTurns:
        """Send turns until they are over or aborted, then wait for what is open."""
        self.start_s = time.monotonic() + PREPARED_S
        tasks: list[asyncio.Task[None]] = []
        dues_s = [self.start_s + t for t in self.turns.times_s]
        with on_time(dues_s) as due:
            arrivals = asyncio.create_task(self._arrive(due, tasks))
            while not arrivals.done() and self.turns.aborted is None:
                await asyncio.wait([arrivals], timeout=POLL_S)
                self.turns.aborted = self.turns.aborted or broken()
                await self._note_usage()
                self._note_late()
                if is_over(self.turns, time.monotonic() - self.start_s):
                    break
            arrivals.cancel()
            await asyncio.wait([arrivals])
            deadline_s = time.monotonic() + self.workload.request_timeout_s
            while self.turns.aborted is None and time.monotonic() < deadline_s:
                if not (left := [t for t in tasks if not t.done()]):
                    break
                await asyncio.wait(left, timeout=POLL_S)
                self.turns.aborted = self.turns.aborted or broken()
        self._leave(tasks)
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in (arrivals, *tasks):
            if not task.cancelled():
                task.result()  # raises a bug of ours, which is no reply
        return self.turns

    async def _arrive(
        self, due: dict[float, asyncio.Future[None]], tasks: list[asyncio.Task[None]]
    ) -> None:
        services = {s: end.api.is_fed_audio for s, end in self.connection.endpoints.items()}
        for number, at_s in enumerate(self.turns.times_s):
            due_s = self.start_s + at_s
            await asyncio.sleep(due_s - PREPARED_S - time.monotonic())
            requests = turn_requests(
                self.workload, services, number, len(self.connection.clips), self.salt
            )
            bodies = [self.connection.prepared(r) for r in requests]
            turn = OpenTurn(requests, bodies, due_s)
            tasks.append(asyncio.create_task(self._turn(number, turn, due[due_s])))
            self.turns.sent = number + 1

    async def _turn(self, number: int, turn: OpenTurn, due: asyncio.Future[None]) -> None:
        self.waiting[number] = turn
        await turn.send(self.connection, due, self._note)
        del self.waiting[number]
        self.turns.good[number] = self.turns.good[number] is not False

    def _note(self, reply: Reply) -> None:
        mine = self._relative(reply)
        self.turns.replies.append(mine)
        if mine.turn is not None and missed([mine], self.limits):
            self.turns.good[mine.turn] = False
        if reply.is_fatal:
            self.turns.aborted = self.turns.aborted or reply.symptom

    def _relative(self, reply: Reply) -> RampReply:
        def since(at_s: float | None) -> float | None:
            return None if at_s is None else round(at_s - self.start_s, 6)

        return RampReply(
            line=0,
            service=reply.service,
            scheduled_s=round(reply.scheduled_s - self.start_s, 6),
            seed=self.workload.seed,
            turn=reply.turn,
            first_s=since(reply.first_s),
            end_s=since(reply.end_s),
            tokens=reply.tokens,
            error=None if reply.error is None else reply.error.text,
        )

    def _note_late(self) -> None:
        """Count what has waited too long as not good, whatever its answer will be."""
        now_s = time.monotonic()
        for number, turn in self.waiting.items():
            request = turn.waiting
            allowed_ms = latest_ms(self.limits, request.service, request.output_tokens)
            if allowed_ms is not None and (now_s - turn.at_s) * 1000.0 > allowed_ms:
                self.turns.good[number] = False

    async def _note_usage(self) -> None:
        for service in self.connection.metered:
            usage_pct, _ = await self.connection.usage(service)
            if usage_pct is not None and usage_pct >= KV_FULL_PCT and self.turns.kv_full_s is None:
                self.turns.kv_full_s = time.monotonic() - self.start_s

    def _leave(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Count what is still open as failed, and hang up."""
        for number, turn in self.waiting.items():
            self.turns.good[number] = False
            scheduled_s = round(turn.at_s - self.start_s, 6)
            self.turns.replies.append(
                RampReply(
                    line=0,
                    service=turn.waiting.service,
                    scheduled_s=scheduled_s,
                    seed=self.workload.seed,
                    turn=number,
                    error=OPEN,
                )
            )
        for task in tasks:
            task.cancel()
