"""A diagnosis names a failure, and its class says what becomes of the trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from objectives.diagnosis.log import FailurePhase
from objectives.diagnosis.patterns import patterns
from objectives.diagnosis.victim import Victim
from objectives.plain_data.masked import masked
from objectives.plain_data.spellable import spellable

OVERDUE = "overdue"  # the failure of what has used up its own time
LATE = "late_requests"  # of what our own requests, which left late, have spoilt


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis names one failure.

    Args:
        failure_class: The name of the failure, one of `outcomes` in patterns.yaml.
        victim: Whom it befell, as the text of a `Victim`; None where no line tells.
        phase: When it happened; None where there was no failure.
        deficit_mib: The memory that was missing, MiB; None where no line tells.
        evidence: The line that shows the failure, at most 300 characters of it.
        way_out: What a person does about it; None where that depends on the study.
    """

    failure_class: str
    victim: str | None
    phase: FailurePhase | None
    deficit_mib: float | None
    evidence: str
    way_out: str | None = None

    def __post_init__(self) -> None:
        # it goes into studies, files and terminals, whoever said it
        object.__setattr__(self, "evidence", masked(spellable(self.evidence)))

    @property
    def blamed(self) -> Victim | None:
        """Return whom it befell; None where no line tells."""
        return Victim.of(self.victim) if self.victim else None


@dataclass(frozen=True, slots=True)
class Consequence:
    """A consequence says what becomes of a trial that failed.

    Args:
        kind: Whether the candidate is infeasible, the trial is run again, or the study stops.
        retries: How often it is run again.
        then: What it is once the retries are used up; None where there are none.
        breaks: What there was too little of; None where that is not known.
        is_foreign: Whether another process did it, so that it says nothing of the candidate.
    """

    kind: Literal["infeasible", "retry", "stop"]
    retries: int = 0
    then: Literal["infeasible", "fail"] | None = None
    breaks: Literal["memory", "kv_cache"] | None = None
    is_foreign: bool = False


def consequence_of(failure_class: str) -> Consequence:
    """Return what becomes of a trial that failed with this class.

    Raises:
        ValueError: There is no such class.

    >>> consequence_of("host_oom")
    Consequence(kind='retry', retries=1, then='infeasible', breaks='memory', is_foreign=False)
    """
    if failure_class not in (outcomes := patterns()["outcomes"]):
        raise ValueError(
            f"unknown failure class {failure_class!r}; choose one of {', '.join(outcomes)}"
        )
    return Consequence(**outcomes[failure_class])
