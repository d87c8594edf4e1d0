"""The sending process reads plans from its standard input, and writes what becomes of them.

Both are lines of JSON. It is told the clips, then plans one after the other: `plan`, and while it
lasts `turns` (more of them), `no_more` (nothing more leaves) or `hang_up` (all that is open ends).
It tells a pipe `ready`, and of each plan `start_s`, a `reply` with the number of its `turn`, and at
the end `done`. When its input ends, for whatever reason, so does it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from objectives.load.sending.alarm_clock import AlarmClock, alarm_clock
from objectives.load.sending.client import Connection
from objectives.load.sending.plan import Plan, clips_of, plain_reply, turns_of
from objectives.load.sending.priority import ask_for_short_slices, take_cores
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

LONGEST_LINE = 1 << 30  # clips may be large
LEAD_S = 0.1  # from the start of a plan until the first turn may be due
PREPARED_S = 0.2  # so much before its time a turn's bodies are made
Tell = asyncio.WriteTransport


@dataclass(slots=True)
class _Running:
    """A running plan sends its turns, and awaits their answers.

    Args:
        turns: Those that are known so far.
        is_whole: Whether these are all.
        sent: The number of turns that have left; they leave in their order.
    """

    plan: Plan
    connection: Connection
    clock: AlarmClock
    out: Tell
    turns: list[Sequence[Request]] = field(init=False)
    is_whole: bool = field(init=False)
    start_s: float = 0.0
    sent: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    arriving: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.turns, self.is_whole = list(self.plan.turns), self.plan.is_whole

    async def run(self) -> None:
        """Send every turn, and wait for the answers."""
        bodies = [self._bodies(turn) for turn in self.turns]
        cpu_s, self.start_s = time.process_time(), time.monotonic() + LEAD_S
        tell(self.out, start_s=self.start_s)
        self.arriving = asyncio.create_task(self._arrive(bodies))
        await asyncio.wait([self.arriving])
        while left := [t for t in self.tasks if not t.done()]:
            await asyncio.wait(left)
        for task in (self.arriving, *self.tasks):
            if not task.cancelled():
                task.result()  # raises a bug of ours, which is no reply
        tell(self.out, done={"sent": self.sent, "cpu_s": time.process_time() - cpu_s})

    def add(self, turns: Sequence[Sequence[Request]], *, is_whole: bool) -> None:
        """Send these turns too; whether more follow is told with them."""
        self.turns += turns
        self.is_whole = is_whole
        self.more.set()

    def no_more(self) -> None:
        """Let nothing leave any more; what has left is waited for."""
        if self.arriving is not None:
            self.arriving.cancel()
        for task in self.tasks[self.sent :]:
            task.cancel()

    def hang_up(self) -> None:
        """End all that is open."""
        self.no_more()
        for task in self.tasks:
            task.cancel()

    def _bodies(self, turn: Sequence[Request]) -> list[bytes]:
        return [self.connection.prepared(request) for request in turn]

    async def _arrive(self, bodies: list[list[bytes]]) -> None:
        while True:
            while len(self.tasks) == len(self.turns) and not self.is_whole:
                self.more.clear()
                await self.more.wait()
            if (number := len(self.tasks)) == len(self.turns):
                return
            turn = self.turns[number]
            due_s = self.start_s + turn[0].at_s
            await asyncio.sleep(due_s - PREPARED_S - time.monotonic())
            own = bodies[number] if number < len(bodies) else self._bodies(turn)
            self.tasks.append(asyncio.create_task(self._turn(number, turn, own, due_s)))

    async def _turn(
        self, number: int, turn: Sequence[Request], bodies: Sequence[bytes], due_s: float
    ) -> None:
        gate = self.clock.at(due_s)
        gate.add_done_callback(self._count)
        reply = await self.connection.send(turn[0], due_s, bodies[0], gate)
        tell(self.out, reply=plain_reply(reply), turn=number)
        for request, body in zip(turn[1:], bodies[1:], strict=True):
            if reply.end_s is None:
                break
            reply = await self.connection.exchange(request, reply.end_s, body)
            tell(self.out, reply=plain_reply(reply), turn=number)

    def _count(self, gate: asyncio.Future[None]) -> None:
        if not gate.cancelled():
            self.sent += 1


def tell(out: Tell, **message: Any) -> None:
    """Write a message; it waits in memory while the other side reads no further."""
    out.write(json.dumps(message).encode() + b"\n")


async def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Send one plan after the other until there is no more to read."""
    loop, lines = asyncio.get_running_loop(), asyncio.StreamReader(LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), source)
    out, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, sink)
    clips: tuple[Clip, ...] = ()
    running: list[_Running] = []  # the one plan under way
    tell(out, ready=True)

    async def send(data: Mapping[str, Any]) -> None:
        plan = Plan.from_json(data)
        with (
            Connection(plan.endpoints, clips, plan.timeout_s) as connection,
            alarm_clock() as clock,
        ):
            running[:] = [_Running(plan, connection, clock, out)]
            await running[0].run()

    tasks: list[asyncio.Task[None]] = []
    while line := await lines.readline():
        match json.loads(line):
            case {"clips": data}:
                clips = clips_of(data)
            case {"plan": data}:
                tasks[:] = [asyncio.create_task(send(data))]
                tasks[0].add_done_callback(_exit_on_a_bug)
            case {"turns": data, "is_whole": is_whole}:
                running[0].add(turns_of(data), is_whole=is_whole)
            case {"no_more": _}:
                running[0].no_more()
            case {"hang_up": _}:
                running[0].hang_up()
    os._exit(0)  # whatever is under way: nobody waits for it


def _exit_on_a_bug(task: asyncio.Task[None]) -> None:
    """End this process at a bug of ours; its words are read by the other side."""
    if not task.cancelled() and (error := task.exception()) is not None:
        traceback.print_exception(error)
        sys.stderr.flush()
        os._exit(1)


def main() -> None:
    """Take the cores of the first argument, send what comes, and tell the pipe of the second."""
    take_cores(json.loads(sys.argv[1]))
    ask_for_short_slices()
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(int(sys.argv[2]), "wb")
    asyncio.run(serve(source, sink))
