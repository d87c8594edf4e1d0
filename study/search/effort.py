"""The effort of a run is the time that the trials that are left take, in lanes and in runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """The effort is what the trials that are left take.

    Args:
        starts: The fewest starts of servers that ask for a share of the device.
        each_s: What a trial takes, seconds.
        is_measured: Whether trials of this study say so; else it is estimated.
        trials: How many are left until each configuration is measured once.
        most_trials: How many the run may make, with those that measure the leaders again.
        timeout_s: Of one run, seconds.
        first_more_s: What the first trial of the study takes beyond that, seconds.
        confirm_s: What a confirmation of their winner takes up to each look, seconds; none where
            that cannot be.
        lanes: How many trials are measured at once.
        is_begun: Whether the study has trials, so that its lanes have measured the baseline.
    """

    starts: int
    each_s: float
    is_measured: bool
    trials: int
    most_trials: int
    timeout_s: float
    first_more_s: float = 0.0
    confirm_s: Sequence[float] = ()
    lanes: int = 1
    is_begun: bool = False

    @property
    def once_s(self) -> float:
        """Return the seconds until all that are left have been measured once.

        In lanes the baseline comes first and alone, and then once on each other card.
        """
        bridges = 0 if self.is_begun or not self.trials else self.lanes - 1
        return self._rounds(self.trials + bridges) * self.each_s

    @property
    def first_answer_s(self) -> float:
        """Return the seconds until the next run has measured each configuration once, or ends."""
        return min(self.timeout_s, self.first_more_s + self.once_s)

    @property
    def latest_s(self) -> float:
        """Return the seconds after which the next run has ended at the latest."""
        most_s = self._rounds(self.most_trials) * self.each_s
        return min(self.timeout_s, self.first_more_s + max(self.once_s, most_s))

    @property
    def runs(self) -> int:
        """Return how many runs of `timeout_s` it needs to measure each configuration once."""
        a_run_s = max(1, int(self.timeout_s // self.each_s)) * self.each_s
        return math.ceil(self.once_s / a_run_s)

    def within(self, seconds: float) -> int:
        """Return how many trials a first run makes in a time."""
        rounds = int(seconds // self.each_s)
        return rounds if self.lanes == 1 else max(0, self.lanes * (rounds - 1) + 1)

    def _rounds(self, trials: int) -> int:
        alone = 0 if self.is_begun else min(trials, 1)
        return alone + math.ceil((trials - alone) / self.lanes)
