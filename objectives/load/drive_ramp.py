"""This module sends turns at a rising rate until they are bad beyond doubt."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from objectives.capacity.limits import Limit
from objectives.capacity.ramp_rate import RampRate
from objectives.load.drive_turns import SentTurns, drive_turns
from objectives.load.generator import Generator
from objectives.load.ramp import is_broken_beyond_doubt
from objectives.load.replies import Symptom
from objectives.load.sending.plan import Endpoints
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload

LEAST_AHEAD = 60  # turns to come that could still be good, however slow they arrive


def drive_ramp(
    generator: Generator,
    endpoints: Endpoints,
    clips: Sequence[Clip],
    workload: Workload,
    rate: RampRate,
    limits: Sequence[Limit],
    *,
    salt: int,
    broken: Callable[[], Symptom | None],
) -> SentTurns:
    """Send turns at a rising rate until they are bad beyond doubt, and wait for what is open.

    Args:
        generator: What sends them.
        endpoints: Where the servers listen, in the order in which a turn passes them.
        clips: The speech of the turns.
        workload: The seed, and the sizes of requests.
        rate: The rate at which turns arrive.
        limits: What a good turn meets.
        salt: A number that no other turns on these servers have, so that no prompt is cached.
        broken: It is called a few times a second and returns why the ramp must end.
    """
    return drive_turns(
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


def _is_over(turns: SentTurns, passed_s: float) -> bool:
    """Return whether no turn that arrives before the rate has doubled could mend the ramp."""
    rate, times_s = turns.rate, turns.times_s
    ahead = bisect_left(times_s, 2 * rate.at(passed_s), key=rate.at)
    ahead = max(ahead, turns.sent + LEAST_AHEAD)
    return is_broken_beyond_doubt(rate, times_s[:ahead], turns.good[:ahead], passed_s)
