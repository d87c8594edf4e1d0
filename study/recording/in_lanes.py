"""This module measures what a recording plans on several cards at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path

from objectives.allocation import Allocation
from objectives.evaluation import Job
from objectives.recording import RecordedLaunch
from objectives.traffic.workload import Workload
from study.bench.launch_order import launch_key
from study.lanes.lane import Ended, Lane, Task, launch_keys
from study.lanes.lanes import Lanes
from study.recording.rounds import longest_s
from study.search.expected_time import TimeBudget
from study.spec.model import Spec

PlannedLaunch = tuple[Allocation, int]  # with its repeat


@dataclass(slots=True, kw_only=True)
class RollingRecord:
    """A rolling record feeds lanes with launches, each card the baseline before all else.

    The very first baseline comes alone: it finds the range of the ramps.

    Args:
        spec: What is recorded.
        lanes: They measure.
        todo: The launches that are not measured yet, in order.
        entries: What is measured; it grows.
        folder: The folder for logs.
        budget: The time.
        tell: It is given a line each.
    """

    spec: Spec
    lanes: Lanes
    todo: list[PlannedLaunch]
    entries: list[RecordedLaunch]
    folder: Path
    budget: TimeBudget
    tell: Callable[[str], None]
    _launches: dict[int, PlannedLaunch] = field(default_factory=dict, init=False)  # by task
    _repeats: dict[str, int] = field(default_factory=dict, init=False)  # the last by card
    _bridges: dict[str, int] = field(default_factory=dict, init=False)  # the repeat by card
    _is_over: bool = field(default=False, init=False)

    def ended(self) -> Iterator[tuple[Ended, int]]:
        """Yield each launch that has ended, with its repeat, until all have or the time is over.

        Raises:
            SetupError: No lane is left.
            KeyboardInterrupt: A signal asked for the end.
        """
        count = 0
        while True:
            for lane in self.lanes.free():
                if (launch := self._next(lane)) is not None:
                    count += 1
                    self._give(lane, launch, count)
            if not self.lanes.tasks and (self._is_over or not self.todo):
                return
            for end in self.lanes.wait():
                _, repeat = self._launches[end.task.number]
                if isinstance(end, Ended):
                    yield end, repeat
                else:
                    self.tell(f"    {end.task.label}: left out, run again for it: {end.lost[-1]}")

    def _next(self, lane: Lane) -> PlannedLaunch | None:
        """Return what a lane is to launch next; None where it has to wait, or nothing is left."""
        if self._is_over or not self.todo:
            return None
        if not any(e.measurement for e in self.entries) and self.lanes.tasks:
            self.lanes.prepare(lane, Job(self.spec.baseline, 0, lane.folder / "prepared"))
            return None
        launch = self._bridge(lane) or self._nearest(lane)
        if not has_time(self.budget, self.spec.workload, self.entries, launch[0], self.tell):
            self._is_over = True
            return None
        if launch in self.todo:
            self.todo.remove(launch)
        return launch

    def _bridge(self, lane: Lane) -> PlannedLaunch | None:
        """Return the baseline where a card has not measured it; None where it has, or did try."""
        baseline, card = str(self.spec.baseline), lane.card
        own = [e for e in self.entries if e.key == baseline]
        if card in self._bridges or any(e.card == card for e in own) or not self.entries:
            return None
        if str(self.todo[0][0]) == baseline:
            launch = self.todo[0]
        else:
            planned = [r for a, r in [*self.todo, *self._launches.values()] if str(a) == baseline]
            taken = [e.repeat for e in own] + planned
            launch = self.spec.baseline, 1 + max(taken, default=0)
        self._bridges[card] = launch[1]
        return launch

    def _nearest(self, lane: Lane) -> PlannedLaunch:
        """Return the launch of this round that needs what the lane runs, or what no other does."""
        baseline, services = str(self.spec.baseline), self.spec.services
        if str(self.todo[0][0]) == baseline:
            return self.todo[0]
        repeat = self.todo[0][1]
        group = takewhile(lambda x: str(x[0]) != baseline and x[1] == repeat, self.todo)
        key_of = partial(launch_key, services)
        own, others = launch_keys(lane, self.lanes.living, key_of)

        def cost(launch: PlannedLaunch) -> tuple[bool, bool]:
            key = key_of(launch[0])
            return key != own, key in others

        return min(group, key=cost)

    def _give(self, lane: Lane, launch: PlannedLaunch, count: int) -> None:
        """Let a lane make a launch, afresh where it is a repeat or the baseline's."""
        allocation, repeat = launch
        before = self._repeats.get(lane.card)
        is_baseline = str(allocation) == str(self.spec.baseline)
        is_fresh = before is not None and (before != repeat or is_baseline)
        self._repeats[lane.card], self._launches[count] = repeat, launch
        folder = self.folder / folder_name(allocation, repeat)
        job = Job(allocation, repeat, folder, is_fresh=is_fresh)
        card = lane.card if self._bridges.get(lane.card) == repeat and is_baseline else None
        label = f"{allocation}, repeat {repeat}"
        left = len(self.todo)
        self.tell(f"[{count}/{count + left}] {label}, on {lane.name}")
        self.lanes.give(lane, Task(count, label, job, card))


def has_time(
    budget: TimeBudget,
    workload: Workload,
    entries: Sequence[RecordedLaunch],
    allocation: Allocation,
    tell: Callable[[str], None],
) -> bool:
    """Return whether a launch would end in time, and tell where it would not."""
    expected_s = longest_s(workload, entries, allocation)
    if budget.lets_begin(expected_s):
        return True
    tell(
        f"{allocation} takes about {expected_s:.0f} s and would not end in time; run again to go on"
    )
    return False


def folder_name(allocation: Allocation, repeat: int) -> str:
    """Return the name of a launch's folder.

    >>> folder_name(Allocation({"whisper_model_size": "base", "stt.place": "gpu1/int8"}), 2)
    'whisper_model_size=base_stt.place=gpu1-int8-2'
    """
    return f"{allocation}-{repeat}".replace(" ", "_").replace("/", "-")
