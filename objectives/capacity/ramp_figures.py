"""The replies of a launch become its goodput and capacity here, under any limits. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from objectives.capacity.limits import Limit, TimedReply, missed
from objectives.capacity.ramp_capacity import COMPLETION_WINDOW_S, ramp_capacity
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import SERVICES, RampReply
from objectives.capacity.turns import turns_of

KV = "kv"  # what bounds a capacity where the KV cache was full when the LLM broke
KV_FULL = "kv_full_s"  # the key of `Measurement.ramp` that says when that was


def limits_of(limits_ms: Mapping[str, float]) -> tuple[Limit, ...]:
    """Return the limits of a spec, by name in ms."""
    return tuple(Limit.of(name, ms) for name, ms in limits_ms.items())


def ramp_figures(
    replies: Sequence[RampReply],
    services: Collection[str],
    rate: RampRate,
    limits: Sequence[Limit],
    *,
    pause_s: float,
    kv_full_s: float | None = None,
) -> dict[str, Any]:
    """Return the figures of capacity that the replies of one ramp show, by flat name.

    Args:
        replies: Its replies, of at least one turn.
        services: The services that every turn goes through.
        rate: The rate at which its turns arrived.
        limits: What a good turn meets.
        pause_s: A user's pause between two turns, seconds.
        kv_full_s: When a KV cache was first seen full, seconds from its start; None where none was.
    """
    turns = turns_of(replies, services, limits)
    capacity = ramp_capacity(turns, rate)
    bound_by = capacity.bound_by
    if kv_full_s is not None and capacity.turns_below < len(turns):
        break_s = turns[capacity.turns_below].scheduled_s
        is_llm = any(x.name == bound_by and x.service == SERVICES[-1] for x in limits)
        bound_by = KV if is_llm and kv_full_s <= break_s + COMPLETION_WINDOW_S else bound_by
    return {
        "breaking_point_turns_per_s": rounded(capacity.turns_per_s),
        "completed_turns_per_s": rounded(capacity.completed_per_s),
        "capacity_turns_per_s": rounded(capacity.capacity_turns_per_s),
        "concurrent_capacity": capacity.concurrent_capacity(pause_s),
        "capacity_bracket": (
            rounded(capacity.last_pass_per_s),
            rounded(capacity.first_fail_per_s),
        ),
        "capacity_bound_by": bound_by,
        "capacity_turns_below": capacity.turns_below,
    }


def goodput_pct(replies: Iterable[tuple[int | None, TimedReply]], limits: Sequence[Limit]) -> float:
    """Return the share of turns that met every limit, percent.

    Args:
        replies: At least one reply with the number of its turn; one of no turn counts as one.
        limits: What a good turn meets.
    """
    turns: dict[object, list[TimedReply]] = defaultdict(list)
    for n, (turn, reply) in enumerate(replies):
        turns[("alone", n) if turn is None else turn].append(reply)
    return 100.0 * sum(not missed(t, limits) for t in turns.values()) / len(turns)


def rounded(value: float | None) -> float | None:
    """Return a figure to four places; None stays None."""
    return None if value is None else round(value, 4)
