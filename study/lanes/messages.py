"""Messages cross the pipes between the driver and a lane, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.devices.device import Identity
from objectives.devices.telemetry import Occupancy
from objectives.evaluation import Job, Outcome, Phase
from objectives.measurement import Measurement
from objectives.plain_data.by_type import from_plain, mapping_of
from objectives.plain_data.infinity import plain
from objectives.setting import Setting
from objectives.traffic.workload import Request, Workload

Measured = Sequence[tuple[Allocation, Measurement]]


@dataclass(frozen=True, slots=True)
class OfPlainData:
    """A message crosses a pipe by the types of its fields."""

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return dict(plain(asdict(self)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        message: Self = from_plain(cls, data)
        return message


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
        return " ".join(self.cards.values())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "cards": dict(self.cards),
            "cores": self.cores,
            "setting": asdict(self.setting),
            "folder": str(self.folder),
            "measurements": _measured_to_json(self.measurements),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        return cls(
            dict(data["cards"]),
            tuple(data["cores"]),
            from_plain(Setting, data["setting"]),
            Path(data["folder"]),
            _measured_from_json(data["measurements"]),
        )


@dataclass(frozen=True, slots=True)
class Under(OfPlainData):
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

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "attempt": self.attempt,
            "job": self.job.to_json(),
            "is_raced": self.is_raced,
            "ramp_range": self.ramp_range and self.ramp_range.to_json(),
            "measurements": _measured_to_json(self.measurements),
            "under": self.under and self.under.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        return cls(
            data["attempt"],
            Job.from_json(data["job"]),
            data["is_raced"],
            _range(data["ramp_range"]),
            _measured_from_json(data["measurements"]),
            Under.from_json(data["under"]) if data["under"] else None,
        )


@dataclass(frozen=True, slots=True)
class Prepare:
    """A lane that has to wait may start the servers of a job meanwhile.

    Args:
        job: The job.
    """

    job: Job

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"job": self.job.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        return cls(Job.from_json(data["job"]))


@dataclass(frozen=True, slots=True)
class Verdict(OfPlainData):
    """A verdict answers a question.

    Args:
        number: The question's.
        is_worth: Whether the rest of the measurement is worth its time.
    """

    number: int
    is_worth: bool


@dataclass(frozen=True, slots=True)
class Ready(OfPlainData):
    """A lane is ready: it has opened its cards, or has prepared a job.

    Args:
        identities: Its cards, in the order of the opening.
        longest_s: The longest that a measurement may take there, seconds.
    """

    identities: tuple[Identity, ...]
    longest_s: float


@dataclass(frozen=True, slots=True)
class Beat(OfPlainData):
    """A beat says every few seconds that the lane lives.

    Args:
        occupancy: Who holds the memory of its LLM's card; None while it opens that.
    """

    occupancy: Occupancy | None


@dataclass(frozen=True, slots=True)
class Doing(OfPlainData):
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

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "attempt": self.attempt,
            "number": self.number,
            "so_far": self.so_far.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        return cls(data["attempt"], data["number"], Measurement.from_json(data["so_far"]))


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

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "attempt": self.attempt,
            "outcome": self.outcome.to_json(),
            "wall_s": self.wall_s,
            "ramp_range": self.ramp_range and self.ramp_range.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        outcome = Outcome.from_json(data["outcome"])
        return cls(data["attempt"], outcome, data["wall_s"], _range(data["ramp_range"]))


@dataclass(frozen=True, slots=True)
class Refusal(OfPlainData):
    """A lane cannot measure at all.

    Args:
        why: The sentence for a person, with the way out.
    """

    why: str


Message = Opening | Order | Prepare | Verdict | Ready | Beat | Doing | Question | Answer | Refusal
KINDS = (Opening, Order, Prepare, Verdict, Ready, Beat, Doing, Question, Answer, Refusal)


def line_of(message: Message) -> bytes:
    """Return a message as one line."""
    return json.dumps({"kind": type(message).__name__, **message.to_json()}).encode() + b"\n"


def message_of(line: bytes) -> Message:
    """Return the message of a line.

    Raises:
        One of `ODD_DATA`: It is none.
    """
    data = dict(mapping_of(json.loads(line)))
    kind = {k.__name__: k for k in KINDS}[data.pop("kind")]
    return kind.from_json(data)


def _range(data: Mapping[str, Any] | None) -> RampRange | None:
    return RampRange.from_json(data) if data else None


def _measured_to_json(measurements: Measured) -> list[Any]:
    return [[dict(a.values), m.to_json()] for a, m in measurements]


def _measured_from_json(data: Sequence[Any]) -> Measured:
    return [(Allocation(values), Measurement.from_json(m)) for values, m in data]
