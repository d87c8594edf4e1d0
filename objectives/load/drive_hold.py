"""This module sends turns at one rate for a while, and counts how many of them were good."""

from __future__ import annotations

from objectives.capacity.holds import Hold, is_lost
from objectives.capacity.ramp_rate import RampRate
from objectives.load.drive_turns import SentTurns, TurnSource, drive_turns


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
    turns = drive_turns(source, rate, _is_over)
    good = sum(g is True for g in turns.good)
    return Hold(rate_per_s, hold_s, turns.sent, good), turns


def _is_over(turns: SentTurns, _: float) -> bool:
    return is_lost(len(turns.times_s), sum(g is False for g in turns.good))
