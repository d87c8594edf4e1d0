"""The load generator sends from a process of its own, which lives as long as a `with` block.

Threads of a study (telemetry, its live picture) hold the interpreter's lock for milliseconds, and
requests of the same process would leave late by as much.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

from objectives.errors import SetupError
from objectives.load.replies import Reply
from objectives.load.sending.plan import Plan, plain_clips, plain_turns, reply_of
from objectives.load.sending.process import AGAIN, PATIENCE_S, SendingProcess
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

END_S = 10.0  # from our word until nothing is open


class Generator:
    """A generator sends plans one after the other; its process is started before it is needed.

    A process that has ended is an error of the plan under way, and the next plan gets another.

    Args:
        cores: The cores that it has to itself; none where it shares those of this process.
    """

    def __init__(self, cores: Collection[int] = ()) -> None:
        self._cores = cores
        self._process: SendingProcess | None = None
        self._clips: Sequence[Clip] | None = None  # those that the process has
        self._is_ready = False

    def __enter__(self) -> Self:
        self._process = SendingProcess(self._cores)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Return the number of its process; None where none runs."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """End the process, whatever it is doing."""
        process, self._process = self._process, None
        self._clips, self._is_ready = None, False
        if process is not None:
            process.close()

    @contextmanager
    def sending(self, plan: Plan, clips: Sequence[Clip]) -> Iterator[Sending]:
        """Send a plan while the block lasts; what is open at its end is hung up.

        Args:
            plan: What is sent, and when.
            clips: The speech that requests name by number.

        Raises:
            SetupError: The process has ended by itself, or does not answer.
        """
        try:
            sending = self._begin(plan, clips)
            yield sending
            sending.hang_up()
        except BaseException:
            self.close()  # and with it the plan
            raise

    def _begin(self, plan: Plan, clips: Sequence[Clip]) -> Sending:
        if self._process is None:
            self._process = SendingProcess(self._cores)
        process = self._process
        if not self._is_ready:
            _next(process, "ready")
            self._is_ready = True
        if clips is not self._clips:
            process.tell(clips=plain_clips(clips))
            self._clips = clips
        process.tell(plan=plan.to_json())
        return Sending(process, plan, float(_next(process, "start_s")))


def _next(process: SendingProcess, name: str) -> Any:
    """Return what the next message says, which has this name.

    Raises:
        SetupError: The process has ended by itself, or does not answer in time.
    """
    message = process.message(PATIENCE_S)
    if message is None:
        raise SetupError(
            f"the load generator's process did not answer within {PATIENCE_S:g} s, {AGAIN}"
        )
    return message[name]


@dataclass(slots=True)
class Sending:
    """A sending is a plan whose requests leave now, and whose replies come back.

    Args:
        process: What sends it.
        plan: The plan.
        start_s: Its start on the monotonic clock, seconds.
        cpu_s: The CPU time of the generator from there until the end, seconds; 0 before.
        sent: The number of turns that had left at the end; None before.
    """

    process: SendingProcess
    plan: Plan
    start_s: float
    cpu_s: float = 0.0
    sent: int | None = None
    _until_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._until_s = self._end_s(self.plan)

    def _end_s(self, plan: Plan) -> float:
        """Return when it must have ended by itself; turns that may follow have no end."""
        return self.start_s + plan.longest_s + PATIENCE_S if plan.is_whole else math.inf

    @property
    def is_done(self) -> bool:
        """Return whether nothing is open any more."""
        return self.sent is not None

    def replies(self, within_s: float) -> Iterator[tuple[int, Reply]]:
        """Give each reply as it comes with the number of its turn, until all is done or so long.

        Raises:
            SetupError: The process has ended by itself, or does not end the plan in time.
        """
        until_s = time.monotonic() + within_s
        while not self.is_done and (left_s := until_s - time.monotonic()) > 0:
            message = self.process.message(left_s)
            if message is None:
                break
            if "done" in message:
                self.sent, self.cpu_s = message["done"]["sent"], message["done"]["cpu_s"]
            else:
                yield message["turn"], reply_of(message["reply"])
        if not self.is_done and time.monotonic() > self._until_s:
            raise SetupError(f"the load generator's process does not end what it sends, {AGAIN}")

    def add(self, turns: Sequence[Sequence[Request]], *, is_whole: bool) -> None:
        """Send more turns.

        Args:
            turns: They follow those of the plan, and are not due yet.
            is_whole: Whether these are the last.
        """
        self._until_s = self._end_s(replace(self.plan, turns=turns, is_whole=is_whole))
        self.process.tell(turns=plain_turns(turns), is_whole=is_whole)

    def no_more(self) -> None:
        """Let nothing leave any more; what has left is waited for."""
        if not self.is_done:
            self.process.tell(no_more=True)

    def hang_up(self) -> list[tuple[int, Reply]]:
        """End what is open; return the answers that had come by then."""
        last: list[tuple[int, Reply]] = []
        if not self.is_done:
            self.process.tell(hang_up=True)
            self._until_s = time.monotonic() + END_S
        while not self.is_done:
            last += self.replies(0.5)
        return last
