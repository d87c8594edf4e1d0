"""This module sends turns at a rising rate until they are bad beyond doubt."""

from __future__ import annotations

from bisect import bisect_left

from objectives.capacity.ramp_rate import RampRate
from objectives.load.drive_turns import SentTurns, TurnSource, drive_turns
from objectives.load.ramp import is_broken_beyond_doubt

LEAST_AHEAD = 60  # turns to come that could still be good, however slow they arrive


def drive_ramp(source: TurnSource, rate: RampRate) -> SentTurns:
    """Send turns at a rising rate until they are bad beyond doubt, and wait for what is open.

    Args:
        source: What sends them.
        rate: The rate at which turns arrive.
    """
    return drive_turns(source, rate, _is_over)


def _is_over(turns: SentTurns, passed_s: float) -> bool:
    """Return whether no turn that arrives before the rate has doubled could mend the ramp."""
    rate, times_s = turns.rate, turns.times_s
    ahead = bisect_left(times_s, 2 * rate.at(passed_s), key=rate.at)
    ahead = max(ahead, turns.sent + LEAST_AHEAD)
    return is_broken_beyond_doubt(rate, times_s[:ahead], turns.good[:ahead], passed_s)
