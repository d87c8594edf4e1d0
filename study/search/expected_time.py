"""This module estimates how long the next trial will take, and says whether it may begin."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from objectives.traffic.workload import Workload
from study.storage.trial import State, Trial

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


@dataclass(slots=True)
class TimeBudget:
    """A budget of time lets nothing begin that is not expected to end within it, but the first.

    The first always begins: else a budget that is too small would come to nothing at every run.
    What has begun is not cut off by it: each measurement has a longest time of its own.

    Args:
        timeout_s: The budget, seconds; infinite for none.
        tell: It is told where the budget is too small for the first.
        began_s: When it began, by `time.monotonic`.
    """

    timeout_s: float
    tell: Callable[[str], None]
    began_s: float = field(default_factory=time.monotonic)
    _has_begun: bool = False

    @property
    def left_s(self) -> float:
        """Return what is left of it, seconds."""
        return self.began_s + self.timeout_s - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Return whether nothing may begin any more, however short it is."""
        return self._has_begun and self.left_s < 0

    def lets_begin(self, expected_s: float) -> bool:
        """Return whether what takes about so long may begin; it has begun then."""
        is_first, left_s = not self._has_begun, self.left_s
        if expected_s > left_s and not is_first:
            return False
        if expected_s > left_s:
            self.tell(
                f"the first takes about {expected_s:,.0f} s and {max(0.0, left_s):,.0f} s are left "
                "of this run's time: it is measured all the same, and nothing after it"
            )
        self._has_begun = True
        return True
