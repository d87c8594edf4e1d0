"""Estimate how long the next trial will take."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from objectives.traffic.workload import Workload
from study.storage.trials import State, Trial

START_GUESS_S = 75.0  # of a trial without any history: the servers' starts


def expected_trial_s(workload: Workload, trials: Sequence[Trial]) -> float:
    """Return the seconds of a trial by those so far; by the workload before the first."""
    walls = [r.wall_s for r in trials if r.state is State.COMPLETE and r.repeat_of is None]
    return median(walls) if walls else guess_s(workload, is_first=True)


def guess_s(workload: Workload, *, is_first: bool = False) -> float:
    """Return the seconds of a trial before any was measured.

    It has the starts, the services alone, the window once and a half, and the ramp.

    Args:
        is_first: Whether it is the first of its study, whose ramp finds the range of all others and
            is measured again in that.
    """
    ramps = 2 if is_first else 1
    return START_GUESS_S + 15.0 + 1.5 * workload.window_s + ramps * workload.ramp_s
