"""Turns are sent open loop, each through all services: up a ramp, or at a constant rate."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from objectives.capacity.holds import Hold, is_lost
from objectives.capacity.limits import Limit
from objectives.capacity.ramp_capacity import shows_all
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import RampReply
from objectives.capacity.turns import turns_of
from objectives.load.generator import Generator
from objectives.load.kv_usage import KvUsage
from objectives.load.ramp import is_broken_beyond_doubt, turn_times
from objectives.load.replies import Symptom
from objectives.load.sending.plan import Endpoints, Plan
from objectives.load.turns_under_way import (
    KNOWN_S,
    Arrivals,
    IsEnough,
    IsOver,
    SentTurns,
    TurnsUnderWay,
)
from objectives.traffic.clips import Clip
from objectives.traffic.trace import beside_turns
from objectives.traffic.turns import turn_requests
from objectives.traffic.workload import Request, Workload

LEAST_AHEAD = 60  # turns to come that could still be good, however slow they arrive


@dataclass(frozen=True, slots=True)
class TurnSource:
    """A source of turns sends them to the servers of one launch.

    Args:
        generator: What sends them.
        endpoints: Where the servers listen, in the order in which a turn passes them.
        clips: The speech of the turns.
        workload: The seed, and the sizes of requests.
        limits: What a good turn meets.
        broken: It is called a few times a second and returns why all must end.
        settle: It waits until the servers are idle again, and returns whether they are.
        salts: Numbers for the turns of each ramp or hold on these servers, so that no prompt is
            cached.
        beside: Where the services beside a turn listen, which get requests of their own meanwhile.
    """

    generator: Generator
    endpoints: Endpoints
    clips: Sequence[Clip]
    workload: Workload
    limits: Sequence[Limit]
    broken: Callable[[], Symptom | None]
    settle: Callable[[], bool]
    salts: Iterator[int]
    beside: Endpoints = field(default_factory=dict)


def drive_ramp(source: TurnSource, rate: RampRate) -> SentTurns:
    """Send turns at a rising rate until they are bad beyond doubt.

    Then what is open is waited for until it could change nothing; then all is hung up.

    Args:
        source: What sends them.
        rate: The rate at which turns arrive.
    """

    def is_enough(replies: Sequence[RampReply]) -> bool:
        return shows_all(turns_of(replies, source.endpoints, source.limits), rate)

    return _drive(source, rate, _is_broken, is_enough)


def _is_broken(turns: SentTurns, passed_s: float) -> bool:
    """Return whether no turn that arrives before the rate has doubled could mend the ramp."""
    rate, times_s = turns.rate, turns.times_s
    ahead = bisect_left(times_s, 2 * rate.at(passed_s), key=rate.at)
    ahead = max(ahead, turns.sent + LEAST_AHEAD)
    return is_broken_beyond_doubt(rate, times_s[:ahead], turns.good[:ahead], passed_s)


def drive_hold(source: TurnSource, rate_per_s: float) -> tuple[Hold, SentTurns]:
    """Send turns at a constant rate for `hold_s`, and wait for what is open.

    It ends early once the share of good turns that is asked for can no longer be reached.

    Args:
        source: What sends them, and for how long.
        rate_per_s: The rate at which turns arrive, turns/s.

    Returns:
        What the hold shows, and all that was sent.
    """
    hold_s = source.workload.hold_s
    rate = RampRate(rate_per_s, rate_per_s, hold_s)
    turns = _drive(source, rate, _is_lost, lambda _: False)
    good = sum(g is True for g in turns.good)
    return Hold(rate_per_s, hold_s, turns.sent, good), turns


def _is_lost(turns: SentTurns, _: float) -> bool:
    return is_lost(len(turns.times_s), sum(g is False for g in turns.good))


def _drive(source: TurnSource, rate: RampRate, is_over: IsOver, is_enough: IsEnough) -> SentTurns:
    """Send turns at a rate until they are over, and wait for what is open, or enough of it.

    Services beside them get their own constant rate meanwhile.

    Args:
        source: What sends them.
        rate: The rate at which turns arrive.
        is_over: It is called a few times a second and returns whether nothing more is to be sent.
        is_enough: Likewise after that, and returns whether no answer is needed any more.

    Raises:
        SetupError: The generator's process ended by itself.
    """
    workload, endpoints, clips = source.workload, source.endpoints, source.clips
    turns, salt = SentTurns(rate, turn_times(rate, workload.seed)), next(source.salts)
    services = {s: end.api.is_fed_audio for s, end in endpoints.items()}

    def requests_of(number: int) -> list[Request]:
        requests = turn_requests(workload, services, number, len(clips), salt)
        return [replace(request, at_s=turns.times_s[number]) for request in requests]

    others = beside_turns(workload, rate.ramp_s, salt, len(clips)) if source.beside else ()
    arrivals = Arrivals(turns.times_s, requests_of, others)
    first = arrivals.upto(KNOWN_S)
    everywhere = {**endpoints, **source.beside}
    plan = Plan(everywhere, first, workload.request_timeout_s, is_whole=arrivals.is_whole)
    answering = {t.service for t in workload.of_turns}  # another's full cache bounds no capacity
    caches = {s: end for s, end in endpoints.items() if s in answering}
    with KvUsage(caches) as usage, source.generator.sending(plan, clips) as sending:
        under_way = TurnsUnderWay(sending, workload.seed, source.limits, turns, arrivals)
        under_way.follow(usage, source.broken, is_over)
        under_way.drain(source.broken, workload.request_timeout_s, is_enough)
        for number, reply in sending.hang_up():
            under_way.note(number, reply)
    under_way.leave()
    return under_way.turns
