"""An evaluation takes a job and gives its outcome: live, from a recording or from elsewhere.

Both are plain data and cross a process as such. A failure is an outcome, not an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from objectives.allocation import Allocation
from objectives.diagnosis.busy import Busy
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.errors import GivenUp, OutOfMemory, SetupError, TrialFailed
from objectives.measurement import Measurement


class Step(StrEnum):
    """A step is what a launch is doing."""

    REPLAYING = "replaying"
    TENANTS = "tenants"  # what else holds memory is started, which may take a minute
    WAITING = "waiting"  # until others keep neither cores nor GPU busy
    BESIDE_OTHERS = "beside_others"  # which went on being busy
    CHECKING = "checking"
    STOPPING = "stopping"
    STARTING = "starting"
    WARMING_UP = "warming_up"
    ALONE = "alone"
    WORDS = "words"  # the speech whose words are counted, once for each speech configuration
    LOADING = "loading"
    LOADING_AGAIN = "loading_again"  # since our own requests left late
    RAMP = "ramp"
    RAMP_AGAIN = "ramp_again"  # the baseline's, in the range of all others
    RAMP_LATE = "ramp_late"  # once more, since our own requests left late
    SETTLING = "settling"  # until the servers are idle again
    HOLD = "hold"
    HOLD_LATE = "hold_late"  # the same
    RETRYING = "retrying"


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase is a step with what it is about.

    Args:
        step: The step.
        service: The service whose server is starting.
        diagnosis: The failure after which it is tried again.
        busy: What others keep busy.
    """

    step: Step
    service: str | None = None
    diagnosis: Diagnosis | None = None
    busy: Busy | None = None


OnPhase = Callable[[Phase], None]
IsWorth = Callable[[Measurement], bool]


@dataclass(frozen=True, slots=True)
class Job:
    """A job is one evaluation to be made.

    Args:
        allocation: The allocation to launch.
        seed: It draws one of the repeats of a recording.
        folder: The folder for its logs.
        is_fresh: Whether every server is launched anew, also one that runs already: a replicate
            must not share a launch.
        is_worth: It is asked after the ramp and after each segment of the window whether the rest
            is worth its time, with the figures so far, the rest of the window as good as it can
            still be. It stays in the process that asked for the job: a lane asks it there.
    """

    allocation: Allocation
    seed: int
    folder: Path
    is_fresh: bool = False
    is_worth: IsWorth | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure says why a launch gave no measurement.

    Args:
        diagnosis: What happened.
        is_ruled_out: Whether the allocation does not work; else it may not be its doing.
        measured: The figures known by then, by flat name.
    """

    diagnosis: Diagnosis
    is_ruled_out: bool
    measured: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, error: TrialFailed) -> Failure:
        """Return the failure of a launch."""
        return cls(error.diagnosis, isinstance(error, OutOfMemory), error.measured)

    def __str__(self) -> str:
        return f"{self.diagnosis.failure_class}: {self.diagnosis.evidence}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An outcome is what came of a job: one of these four.

    Args:
        measurement: What was measured.
        failure: Why nothing was.
        setup_error: Why this machine cannot run the study at all, with the way out.
        given_up: The figures that were known when the rest was not worth its time, by flat name.
        wall_s: What it took where it was made, seconds; None where it was made here and now.
    """

    measurement: Measurement | None = None
    failure: Failure | None = None
    setup_error: str | None = None
    given_up: Mapping[str, Any] | None = None
    wall_s: float | None = None

    @classmethod
    def of(cls, error: TrialFailed | GivenUp | SetupError) -> Outcome:
        """Return the outcome of a launch that was not measured whole."""
        if isinstance(error, SetupError):
            return cls(setup_error=str(error))
        if isinstance(error, GivenUp):
            return cls(given_up=error.measured)
        return cls(failure=Failure.of(error))

    def raise_for_setup(self) -> Self:
        """Return it.

        Raises:
            SetupError: It is one.
        """
        if self.setup_error is not None:
            raise SetupError(self.setup_error)
        return self


Measure = Callable[[Job], Outcome]
