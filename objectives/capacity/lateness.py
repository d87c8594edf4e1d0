"""Our own requests may leave late; whether that moved a capacity is decided here. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from statistics import NormalDist

from objectives.capacity.holds import is_lost
from objectives.capacity.limits import Limit
from objectives.capacity.ramp_capacity import ramp_capacity, seed_spread_pct
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import RampReply
from objectives.capacity.turns import Turn, turns_of

LAUNCH_PCT = 10.0  # by so much two launches of one configuration may tell another capacity
Z_95 = NormalDist().inv_cdf(0.975)


def is_ramp_late(
    replies: Sequence[RampReply],
    services: Collection[str],
    rate: RampRate,
    limits: Sequence[Limit],
) -> bool:
    """Return whether late requests moved the breaking point of a ramp too far.

    That is beyond its own interval, or beyond what launches of one configuration differ by.

    Each turn counts from when it was due. The breaking point is held against the one that the ramp
    would have, had each request been due when it left, and all for whose answers nobody waited
    been good.

    Args:
        replies: The replies of the ramp, of at least one turn.
        services: The services that every turn goes through.
        rate: The rate at which turns arrived.
        limits: What a good turn meets.
    """
    due = ramp_capacity(turns_of(replies, services, limits), rate)
    left = ramp_capacity(_at_best(turns_of(_due_when_left(replies), services, limits)), rate)
    if left.turns_per_s is None or due.turns_per_s is None:
        return left.turns_per_s is not None
    interval_pct = min(LAUNCH_PCT, Z_95 * seed_spread_pct(left.turns_below))
    return math.log(left.turns_per_s / due.turns_per_s) > math.log1p(interval_pct / 100.0)


def is_hold_late(
    replies: Sequence[RampReply],
    services: Collection[str],
    limits: Sequence[Limit],
    planned: int,
) -> bool:
    """Return whether a hold was lost, and was not yet but for our own requests that left late.

    Args:
        replies: The replies of the hold.
        services: The services that every turn goes through.
        limits: What a good turn meets.
        planned: The number of its turns, those included that were not sent since it was lost.
    """
    due, left = (
        sum(not turn.is_good for turn in turns_of(r, services, limits))
        for r in (replies, _due_when_left(replies))
    )
    return is_lost(planned, due) and not is_lost(planned, left)


def _at_best(turns: Sequence[Turn]) -> list[Turn]:
    """Return turns of which those that were hung up are good where they may have been."""
    return [replace(t, is_hung_up=False) for t in turns]


def _due_when_left(replies: Sequence[RampReply]) -> list[RampReply]:
    """Return the replies as if each had been due when it left; one that never left stays."""
    return [r if r.sent_s is None else replace(r, scheduled_s=r.sent_s) for r in replies]
