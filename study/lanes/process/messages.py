"""Messages cross the pipes between the driver and a lane, one JSON object a line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.devices.device import Identity
from objectives.devices.telemetry import Occupancy
from objectives.evaluation import Job, Outcome, Phase
from objectives.measurement import Measurement
from objectives.plain_data.by_type import from_plain, mapping_of
from objectives.plain_data.card_sets import set_name
from objectives.setting import Setting
from objectives.traffic.workload import Request, Workload

Measured = Sequence[tuple[Allocation, Measurement]]


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening is the first that a lane is told.

    Args:
        cards: The UUIDs of its cards, by the names that the spec gives them.
        cores: The cores that it and its servers run on; none leaves it those of the driver.
        setting: What is the same for all that is measured.
        folder: The folder for its own logs.
        measurements: What was measured so far, for the memory arithmetic.
    """

    cards: Mapping[str, str]
    cores: tuple[int, ...]
    setting: Setting
    folder: Path
    measurements: Measured

    @property
    def card(self) -> str:
        """Return the UUIDs as `study.lanes.lane.Lane.card` does."""
        return set_name(self.cards.values())


@dataclass(frozen=True, slots=True)
class Under:
    """A job may be measured under other traffic than that of the setting.

    Args:
        workload: The rates and lengths of what is sent.
        requests: What is sent in place of the workload's own trace; none where it is its own.
        ramp_range: The range of its ramps; None lets this measurement find it.
    """

    workload: Workload
    requests: tuple[Request, ...]
    ramp_range: RampRange | None


@dataclass(frozen=True, slots=True)
class Order:
    """An order is a job for a lane.

    Args:
        attempt: The number of the attempt, which no other of the run has.
        job: What is to be measured.
        is_raced: Whether the driver is to be asked if the rest is worth its time.
        ramp_range: The range of the study's ramps; None where it is not known yet.
        measurements: What other lanes have measured since the last order.
        under: The traffic; None is that of the setting.
    """

    attempt: int
    job: Job
    is_raced: bool
    ramp_range: RampRange | None
    measurements: Measured
    under: Under | None = None


@dataclass(frozen=True, slots=True)
class Prepare:
    """A lane that has to wait may start the servers of a job meanwhile.

    Args:
        job: The job.
    """

    job: Job


@dataclass(frozen=True, slots=True)
class Verdict:
    """A verdict answers a question.

    Args:
        number: The question's.
        is_worth: Whether the rest of the measurement is worth its time.
    """

    number: int
    is_worth: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A lane is ready: it has opened its cards, or has prepared a job.

    Args:
        identities: Its cards, in the order of the opening.
        longest_s: The longest that a measurement may take there, seconds.
    """

    identities: tuple[Identity, ...]
    longest_s: float


@dataclass(frozen=True, slots=True)
class Beat:
    """A beat says every few seconds that the lane lives.

    Args:
        occupancy: Who holds the memory of its LLM's card; None while it opens that.
    """

    occupancy: Occupancy | None


@dataclass(frozen=True, slots=True)
class Doing:
    """A phase begins in a lane.

    Args:
        phase: The phase.
    """

    phase: Phase


@dataclass(frozen=True, slots=True)
class Question:
    """A lane asks whether the rest of a measurement is worth its time.

    Args:
        attempt: The order's.
        number: The number of the question.
        so_far: What is measured so far.
    """

    attempt: int
    number: int
    so_far: Measurement


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer is what came of an order.

    Args:
        attempt: The order's.
        outcome: What came of the job.
        wall_s: What it took, seconds.
        ramp_range: The range of ramps as the lane knows it now; None where it knows none.
    """

    attempt: int
    outcome: Outcome
    wall_s: float
    ramp_range: RampRange | None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A lane cannot measure at all.

    Args:
        why: The sentence for a person, with the way out.
    """

    why: str


Message = Opening | Order | Prepare | Verdict | Ready | Beat | Doing | Question | Answer | Refusal


def line_of(message: Message) -> bytes:
    """Return a message as one line."""
    data = {"kind": type(message).__name__, **_plain(message)}
    return json.dumps(data, default=_plain).encode() + b"\n"


def message_of(line: bytes) -> Message:
    """Return the message of a line, by the types of its fields.

    Raises:
        One of `ODD_DATA`: It is none.
    """
    data = dict(mapping_of(json.loads(line)))
    kind = {k.__name__: k for k in get_args(Message)}[data.pop("kind")]
    message: Message = from_plain(kind, data)
    return message


def _plain(value: Any) -> Any:
    """Return what JSON lacks: a dataclass by its fields, a path as text.

    Raises:
        TypeError: It is nothing that crosses a pipe.
    """
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    return dict(value) if isinstance(value, Mapping) else os.fspath(value)
