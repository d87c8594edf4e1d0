"""This module sends turns at one rate for a while, and counts how many of them were good."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from objectives.capacity.holds import Hold, is_lost
from objectives.capacity.limits import Limit
from objectives.capacity.ramp_rate import RampRate
from objectives.load.drive_turns import SentTurns, drive_turns
from objectives.load.generator import Generator
from objectives.load.replies import Symptom
from objectives.load.sending.plan import Endpoints
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload


def drive_hold(
    generator: Generator,
    endpoints: Endpoints,
    clips: Sequence[Clip],
    workload: Workload,
    rate_per_s: float,
    limits: Sequence[Limit],
    *,
    salt: int,
    broken: Callable[[], Symptom | None],
) -> tuple[Hold, SentTurns]:
    """Send turns at a constant rate for `hold_s`, and wait for what is open.

    It ends early once the share of good turns that is asked for can no longer be reached.

    Args:
        generator: What sends them.
        endpoints: Where the servers listen, in the order in which a turn passes them.
        clips: The speech of the turns.
        workload: The seed, the sizes of requests, and the time for which to send them.
        rate_per_s: The rate at which turns arrive, turns/s.
        limits: What a good turn meets.
        salt: A number that no other turns on these servers have, so that no prompt is cached.
        broken: It is called a few times a second and returns why the hold must end.

    Returns:
        What the hold shows, and all that was sent.
    """
    rate = RampRate(rate_per_s, rate_per_s, workload.hold_s)
    turns = drive_turns(
        generator,
        endpoints,
        clips,
        workload,
        rate,
        limits,
        salt=salt,
        broken=broken,
        is_over=_is_over,
    )
    good = sum(g is True for g in turns.good)
    return Hold(rate_per_s, workload.hold_s, turns.sent, good), turns


def _is_over(turns: SentTurns, _: float) -> bool:
    return is_lost(len(turns.times_s), sum(g is False for g in turns.good))
