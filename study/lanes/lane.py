"""The driver sees a lane as its cards, its process, and what that is doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.devices.device import Identity
from objectives.devices.device_set import DeviceSet, as_one
from objectives.devices.telemetry import Occupancy
from objectives.evaluation import Job, Outcome, Phase
from study.lanes.card_names import short_name
from study.lanes.process.connection import LaneConnection
from study.lanes.process.messages import Under

LaunchKey = tuple[str, ...]  # of `study.bench.launch_order`


@dataclass(frozen=True, slots=True)
class Task:
    """A task is what the driver wants measured.

    Args:
        number: The number by which whoever wants it knows it.
        label: What people call it, e.g. `trial 7`.
        job: The job; its folder is another at each further attempt.
        card: The lane's card that alone may measure it; None where any may.
        under: The traffic that it is measured under; None is that of the setting.
    """

    number: int
    label: str
    job: Job
    card: str | None = None
    under: Under | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A task has ended in a lane: it was measured, or failed.

    Args:
        task: The task, its job with the folder of the attempt.
        card: The card of the lane, or its cards: `Lane.card`.
        outcome: What came of the job.
        wall_s: What it took there, seconds.
        lost: What became of the lanes that it was tried in before.
        ramp_range: The range of its ramps, as the lane knows it now; None where it knows none.
    """

    task: Task
    card: str
    outcome: Outcome
    wall_s: float
    lost: tuple[str, ...] = ()
    ramp_range: RampRange | None = None


@dataclass(frozen=True, slots=True)
class GivenBack:
    """A task was given back: no lane brought it to an end.

    Args:
        task: The task.
        lost: What became of the lanes that it was tried in.
    """

    task: Task
    lost: tuple[str, ...]


@dataclass(slots=True)
class Lane:
    """A lane is a card, or a set of them, with the process that measures there.

    Args:
        number: Its number, from 0.
        devices: Its cards, by the names that the spec gives them.
        cores: The cores that it and its servers have; none where all share them.
        folder: The folder for its own logs.
        rest_mib: What was free on each card before any lane began, MiB by name.
        process: What leads to its process; None while its cards' memory is awaited, and once it is
            retired.
        is_ready: Whether it takes orders.
        task: What it measures.
        attempt: The number of that attempt.
        since_s: When it was given that, by `time.monotonic`.
        heard_s: When it was last heard of.
        longest_s: The longest that a measurement may take there, seconds.
        phase: What it is doing.
        phase_s: Since when.
        last: What it measured last, whose servers may still run.
        is_prepared: Whether its process has measured nothing, and runs the servers of `last`.
        measurements_known: How many of the run's measurements it knows.
        occupancy: Who held the memory of its LLM's card when it beat last; None where it has not.
        losses: How often its process was lost.
        lost_s: When it was lost last.
        retired: Why it is used no more; None while it is.

    Attributes:
        card: The UUID of its card, those of a set with spaces between them.
    """

    number: int
    devices: DeviceSet
    cores: tuple[int, ...]
    folder: Path
    rest_mib: Mapping[str, float]
    process: LaneConnection | None = None
    is_ready: bool = False
    task: Task | None = None
    attempt: int = 0
    since_s: float = 0.0
    heard_s: float = 0.0
    longest_s: float = 0.0
    phase: Phase | None = None
    phase_s: float = field(default_factory=time.monotonic)
    last: Allocation | None = None
    is_prepared: bool = False
    measurements_known: int = 0
    occupancy: Occupancy | None = None
    losses: int = 0
    lost_s: float = 0.0
    retired: str | None = None
    card: str = field(init=False)

    def __post_init__(self) -> None:
        """Note its card, which is asked for at every event."""
        self.card = self.identity.uuid

    @property
    def identity(self) -> Identity:
        """Return its cards as one."""
        return as_one(self.devices)

    @property
    def name(self) -> str:
        """Return its cards as people are told them."""
        return short_name(self.card)

    @property
    def is_free(self) -> bool:
        """Return whether it waits for a task."""
        return self.is_ready and self.task is None


def launch_keys(
    lane: Lane, living: Sequence[Lane], key_of: Callable[[Allocation], LaunchKey]
) -> tuple[LaunchKey | None, set[LaunchKey]]:
    """Return the launch key of what a lane may run, None where it runs nothing, and the others'.

    Args:
        lane: The lane.
        living: All that are used.
        key_of: It tells the launch key of an allocation.
    """
    by_card = {other.card: key_of(other.last) for other in living if other.last is not None}
    own = by_card.pop(lane.card, None)
    return own, set(by_card.values())
