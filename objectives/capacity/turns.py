"""The requests of a ramp are paired to turns, and each turn is judged by the limits. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from objectives.capacity.limits import FAILED, Limit, missed
from objectives.capacity.ramp_replies import HUNG_UP, RampReply


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn is what a user did once, and what became of it.

    Args:
        scheduled_s: When its first request should have left, seconds from the ramp's start.
        end_s: When its last request had ended, the same; None where one of them failed, or nobody
            waited for it.
        missed: The names of the limits that it missed, or `FAILED`; nothing for a good turn.
        is_hung_up: Whether nobody waited for its end: it is not good, though it might have been
            where it has missed nothing by then.
    """

    scheduled_s: float
    end_s: float | None
    missed: tuple[str, ...] = ()
    is_hung_up: bool = False

    @property
    def is_good(self) -> bool:
        """Return whether every request of it met every limit."""
        return not self.missed and not self.is_hung_up

    @property
    def may_be_good(self) -> bool:
        """Return whether it is good, or might have been."""
        return not self.missed


def turns_of(
    replies: Iterable[RampReply], services: Collection[str], limits: Sequence[Limit]
) -> tuple[Turn, ...]:
    """Pair the replies of one ramp, and return its turns in the order of their times.

    Requests with the same turn number are a turn. Where no number is known, it is the k-th
    request of each service by its scheduled time. A turn that lacks a service has failed.

    Args:
        replies: The replies of the ramp, in any order.
        services: The services that every turn goes through.
        limits: What a good turn meets.
    """
    pairs: dict[int, list[RampReply]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    for reply in sorted(replies, key=_by_time):
        number = seen[reply.service] if reply.turn is None else reply.turn
        seen[reply.service] += 1
        pairs[number].append(reply)
    whole = set(services)
    turns = (_turn(pair, whole, limits) for pair in pairs.values())
    return tuple(sorted(turns, key=_by_turn_time))


def _by_time(reply: RampReply) -> tuple[float, ...]:
    """Return a key that orders replies alike however their lines are ordered."""
    end_s, first_s, tokens = reply.end_s, reply.first_s, reply.tokens
    return (  # of thousands of replies, for which a generator would take twice as long
        reply.scheduled_s,
        math.inf if end_s is None else end_s,
        math.inf if first_s is None else first_s,
        math.inf if tokens is None else tokens,
        reply.error is not None,
    )


def _by_turn_time(turn: Turn) -> tuple[object, ...]:
    return turn.scheduled_s, math.inf if turn.end_s is None else turn.end_s, turn.missed


def _turn(pair: Sequence[RampReply], services: set[str], limits: Sequence[Limit]) -> Turn:
    scheduled_s = min(r.scheduled_s for r in pair)
    answered = [r for r in pair if r.error != HUNG_UP]
    if len(answered) < len(pair):
        return Turn(scheduled_s, None, missed(answered, limits), is_hung_up=True)
    is_whole = {r.service for r in pair} == services
    misses = missed(pair, limits) if is_whole else (FAILED,)
    ends_s = [r.end_s for r in pair if r.end_s is not None]
    return Turn(
        scheduled_s=scheduled_s,
        end_s=None if misses == (FAILED,) else max(ends_s),
        missed=misses,
    )
