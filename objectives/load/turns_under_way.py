"""Turns under way are made a moment before they leave, followed, and judged once they are over."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from objectives.capacity.limits import Limit, latest_ms, missed
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import HUNG_UP, RampReply
from objectives.load.generator import Sending
from objectives.load.kv_usage import KvUsage
from objectives.load.open_turn import OpenTurn
from objectives.load.replies import Reply, Symptom
from objectives.traffic.workload import Request

POLL_S = 0.5
KNOWN_S = 20.0  # so much before its time a turn is made: most of a long ramp never is
SLACK_S = 0.1  # in which the word that nothing more is to leave arrives
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
        beside: The answers of services beside the turns.
        kv_full_s: When a KV cache was first seen full; None where none was.
        aborted: Why it ended early; None where no server is to blame for its end.
    """

    rate: RampRate
    times_s: tuple[float, ...]
    good: list[bool | None] = field(init=False)
    sent: int = 0
    replies: list[RampReply] = field(default_factory=list)
    beside: list[RampReply] = field(default_factory=list)
    kv_full_s: float | None = None
    aborted: Symptom | None = None

    def __post_init__(self) -> None:
        self.good = [None] * len(self.times_s)


# whether no turn to come could change what is asked, so many seconds after the start
IsOver = Callable[[SentTurns, float], bool]
# whether they show the same, were what is open hung up now, as some of them say
IsEnough = Callable[[Sequence[RampReply]], bool]


@dataclass(slots=True)
class Arrivals:
    """Arrivals are turns, and requests beside them, made a moment before their time.

    Args:
        times_s: When each turn arrives.
        requests_of: The requests of a turn by its number.
        others: The requests beside them, sorted by time.
        turns_made: How many turns were made so far.
        others_made: How many of the others.
    """

    times_s: Sequence[float]
    requests_of: Callable[[int], Sequence[Request]]
    others: Sequence[Request]
    turns_made: int = 0
    others_made: int = 0

    @property
    def is_whole(self) -> bool:
        """Return whether all were made."""
        return (self.turns_made, self.others_made) == (len(self.times_s), len(self.others))

    def upto(self, until_s: float) -> list[Sequence[Request]]:
        """Return those that were not made yet and arrive by a time, sorted by theirs."""
        turns = range(self.turns_made, bisect_right(self.times_s, until_s))
        end = bisect_right(self.others, until_s, key=lambda request: request.at_s)
        more = [self.requests_of(number) for number in turns]
        more += [(request,) for request in self.others[self.others_made : end]]
        self.turns_made, self.others_made = max(turns.stop, self.turns_made), end
        return sorted(more, key=lambda requests: requests[0].at_s)


@dataclass(slots=True)
class TurnsUnderWay:
    """Turns under way are followed from their sending to their end.

    Args:
        sending: It sends them.
        seed: The seed of their prompts.
        limits: What a good turn meets.
        turns: What was sent so far, and what came back.
        arrivals: What is to come.
        open: The turns that the generator knows, and the requests beside them.
        is_over: Whether no more was to be sent, though turns were to come.
        is_enough: Whether nobody waited for the answers that were open.
    """

    sending: Sending
    seed: int
    limits: Sequence[Limit]
    turns: SentTurns
    arrivals: Arrivals
    open: list[OpenTurn] = field(default_factory=list)
    is_over: bool = False
    is_enough: bool = False

    def __post_init__(self) -> None:
        self._open(self.sending.plan.turns)

    @property
    def _passed_s(self) -> float:
        """Return the time since the start, seconds."""
        return time.monotonic() - self.sending.start_s

    def follow(self, usage: KvUsage, broken: Callable[[], Symptom | None], is_over: IsOver) -> None:
        """Take what comes back until every turn has left, or no more is to."""
        turns, sending = self.turns, self.sending
        while turns.sent < len(turns.times_s) and not sending.is_done and turns.aborted is None:
            self._wait()
            self._add()
            turns.sent = bisect_right(turns.times_s, self._passed_s)
            turns.aborted = turns.aborted or broken()
            self._note_usage(usage)
            self._note_late()
            if is_over(turns, self._passed_s):
                self.is_over = True
                sending.no_more()
                # some may leave before that word arrives; in the end it says how many have
                turns.sent = bisect_right(turns.times_s, self._passed_s + SLACK_S)
                break

    def _add(self) -> None:
        """Let the generator know the turns of the next seconds."""
        if more := self.arrivals.upto(self._passed_s + KNOWN_S):
            self._open(more)
            self.sending.add(more, is_whole=self.arrivals.is_whole)

    def _open(self, turns: Sequence[Sequence[Request]]) -> None:
        start_s = self.sending.start_s
        self.open += [OpenTurn(turn, start_s + turn[0].at_s) for turn in turns]

    def drain(
        self, broken: Callable[[], Symptom | None], timeout_s: float, is_enough: IsEnough
    ) -> None:
        """Wait for what has left, for as long as one answer may take, or until it is enough."""
        deadline_s = time.monotonic() + timeout_s
        turns, sending = self.turns, self.sending
        while not sending.is_done and turns.aborted is None and time.monotonic() < deadline_s:
            if self.is_over and is_enough(self._if_hung_up()):
                self.is_enough = True
                break
            self._wait()
            turns.aborted = turns.aborted or broken()

    def _if_hung_up(self) -> list[RampReply]:
        """Return the replies of all turns that have left, as if all were hung up now."""
        numbered = ((_number(turn), turn) for turn in self.open)
        left = [t for number, t in numbered if number is not None and number < self.turns.sent]
        return [*self.turns.replies, *self._unanswered(left, HUNG_UP)]

    def _unanswered(self, left: Iterable[OpenTurn], error: str) -> Iterator[RampReply]:
        """Give a reply with this error for each of these that is not over."""
        for turn in left:
            if not turn.is_over:
                yield RampReply(
                    line=0,
                    service=turn.waiting.service,
                    scheduled_s=round(turn.at_s - self.sending.start_s, 6),
                    seed=self.seed,
                    turn=_number(turn),
                    error=error,
                )

    def leave(self) -> None:
        """Count what was open when all was hung up: as failed, unless it could change nothing."""
        left = self.open[: self.sending.sent or 0]
        self.turns.sent = sum(_number(turn) is not None for turn in left)
        for reply in self._unanswered(left, HUNG_UP if self.is_enough else OPEN):
            self._keep(reply, is_good=False)

    def _wait(self) -> None:
        """Take the replies of a moment."""
        for number, reply in self.sending.replies(POLL_S):
            self.note(number, reply)

    def note(self, number: int, reply: Reply) -> None:
        """Keep a reply, and judge its turn once it is over; a fatal one ends all."""
        turns, turn = self.turns, self.open[number]
        turn.note(reply)
        mine = self._relative(reply)
        self._keep(mine, is_good=False if missed([mine], self.limits) else None)
        if turn.is_over and (turn_number := _number(turn)) is not None:
            turns.good[turn_number] = turns.good[turn_number] is not False
        if reply.is_fatal:
            turns.aborted = turns.aborted or reply.symptom

    def _keep(self, reply: RampReply, *, is_good: bool | None) -> None:
        """Keep a reply, of a turn or beside them, and what it says of its turn."""
        if reply.turn is None:
            self.turns.beside.append(reply)
            return
        self.turns.replies.append(reply)
        if is_good is not None:
            self.turns.good[reply.turn] = is_good

    def _relative(self, reply: Reply) -> RampReply:
        def since(at_s: float | None) -> float | None:
            return None if at_s is None else round(at_s - self.sending.start_s, 6)

        return RampReply(
            line=0,
            service=reply.service,
            scheduled_s=round(reply.scheduled_s - self.sending.start_s, 6),
            seed=self.seed,
            turn=reply.turn,
            sent_s=since(reply.sent_s),
            first_s=since(reply.first_s),
            end_s=since(reply.end_s),
            tokens=reply.tokens,
            error=None if reply.error is None else reply.error.text,
        )

    def _note_late(self) -> None:
        """Count what has waited too long as not good, whatever its answer will be."""
        now_s = time.monotonic()
        for turn in self.open:
            number = _number(turn)
            if turn.is_over or number is None:
                continue
            request = turn.waiting
            allowed_ms = latest_ms(self.limits, request.service, request.output_tokens)
            if allowed_ms is not None and (now_s - turn.at_s) * 1000.0 > allowed_ms:
                self.turns.good[number] = False

    def _note_usage(self, usage: KvUsage) -> None:
        for usage_pct, _ in usage.now().values():
            if usage_pct is not None and usage_pct >= KV_FULL_PCT and self.turns.kv_full_s is None:
                self.turns.kv_full_s = self._passed_s


def _number(turn: OpenTurn) -> int | None:
    """Return the number of a turn; None for a request beside them."""
    return turn.requests[0].turn
