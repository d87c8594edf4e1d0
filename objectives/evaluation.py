"""The one seam: a job goes in, its outcome comes out, be it live, from a recording or from elsewhere.

Both are plain data and cross a process as such. A failure is an outcome, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.diagnosis.diagnose import Diagnosis
from objectives.errors import OutOfMemory, TrialFailed
from objectives.measurement import Measurement, plain


class Step(StrEnum):
    """What a launch is doing."""

    REPLAYING = "replaying"
    CHECKING = "checking"
    STOPPING = "stopping"
    STARTING = "starting"
    WARMING_UP = "warming_up"
    ALONE = "alone"
    LOADING = "loading"
    LOADING_AGAIN = "loading_again"  # since our own requests left late
    LADDER = "ladder"
    RETRYING = "retrying"


@dataclass(frozen=True, slots=True)
class Phase:
    """A step with what it is about.

    Args:
        service: which server is starting
        sessions: of the ladder's rung
        diagnosis: of the failure after which it is tried again
    """

    step: Step
    service: str | None = None
    sessions: int | None = None
    diagnosis: Diagnosis | None = None


OnPhase = Callable[[Phase], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation to be made.

    Args:
        allocation: what to launch
        seed: draws one of the repeats of a recording
        folder: for its logs
        is_fresh: launch every server anew, also one that runs already: a replicate must not share
            a launch
    """

    allocation: Allocation
    seed: int
    folder: Path
    is_fresh: bool = False

    def to_json(self) -> dict[str, Any]:
        """The job as plain data."""
        values = dict(self.allocation.values)
        return {
            "allocation": values,
            "seed": self.seed,
            "folder": str(self.folder),
            "is_fresh": self.is_fresh,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Job:
        """The inverse of `to_json`."""
        allocation = Allocation(data["allocation"])
        return cls(allocation, data["seed"], Path(data["folder"]), data["is_fresh"])


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a launch gave no measurement.

    Args:
        diagnosis: what happened
        is_ruled_out: whether the allocation does not work; else it may not be its doing
        measured: figures known by then, by flat name
    """

    diagnosis: Diagnosis
    is_ruled_out: bool
    measured: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.diagnosis.failure_class}: {self.diagnosis.evidence}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job: a measurement or a failure, never both.

    wall_s: what it took where it was made, seconds; None where it was made here and now
    """

    measurement: Measurement | None = None
    failure: Failure | None = None
    wall_s: float | None = None

    @classmethod
    def of(cls, error: TrialFailed) -> Outcome:
        """The outcome of a launch that failed."""
        is_ruled_out = isinstance(error, OutOfMemory)
        return cls(failure=Failure(error.diagnosis, is_ruled_out, error.measured))

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain data."""
        failure = self.failure and plain(asdict(self.failure))
        measurement = self.measurement and self.measurement.to_json()
        return {"measurement": measurement, "failure": failure, "wall_s": self.wall_s}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """The inverse of `to_json`."""
        measurement, failure = data["measurement"], data["failure"]
        return cls(
            Measurement.from_json(measurement) if measurement else None,
            failure
            and Failure(
                Diagnosis(**failure["diagnosis"]), failure["is_ruled_out"], failure["measured"]
            ),
            data["wall_s"],
        )


Measure = Callable[[Job], Outcome]
