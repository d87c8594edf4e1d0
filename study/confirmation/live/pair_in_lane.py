"""A pair is measured in a lane job by job; it is the same pair as here."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

from objectives.evaluation import Outcome
from study.confirmation.pairs.launcher import JobOrder
from study.confirmation.pairs.next_step import Next
from study.confirmation.pairs.pair import PairOutcome, pair_of
from study.confirmation.pairs.runner import Runner
from study.lanes.lane import Lane


@dataclass(slots=True)
class Measuring:
    """A pair is being measured in a lane.

    Args:
        step: Which pair.
        steps: It asks for one job after the other.
        order: The job that the lane is at.
    """

    step: Next
    steps: Generator[JobOrder, Outcome, PairOutcome]
    order: JobOrder

    @property
    def name(self) -> str:
        """Return what people call the pair."""
        return f"{self.step.step.upper()} pair {self.step.number}"


def in_lane(step: Next, runner: Runner, lane: Lane) -> Generator[JobOrder, Outcome, PairOutcome]:
    """Ask for the jobs of a pair, one after the other, and return what comes of it."""
    pair = pair_of(step, runner.of, runner.folder, lane.identity)
    x = next(pair)
    while True:
        launching = runner.launcher.launching(x.role, x.allocation, x.folder, x.traffics)
        launched = yield from launching
        try:
            x = pair.send(launched)
        except StopIteration as end:
            outcome: PairOutcome = end.value
            return outcome
