"""The time of one evaluation is added up by phase, in seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from objectives.evaluation import OnPhase, Phase, Step

STARTING = "starting"


@dataclass(frozen=True, slots=True)
class TimedPhase:
    """A timed phase is a part of an evaluation whose seconds are kept, by its text.

    Args:
        name: What it is.
        service: The service whose server starts in it; None where none does.

    >>> str(TimedPhase.start("llm")), TimedPhase.of("starting llm").service, str(WINDOW)
    ('starting llm', 'llm', 'window')
    """

    name: str
    service: str | None = None

    @classmethod
    def start(cls, service: str) -> TimedPhase:
        """Return the phase in which a service's server starts."""
        return cls(STARTING, service)

    @classmethod
    def of(cls, text: str) -> TimedPhase:
        """Return the phase of a stored text."""
        name, _, service = text.partition(" ")
        return cls.start(service) if name == STARTING and service else cls(text)

    def __str__(self) -> str:
        return self.name if self.service is None else f"{self.name} {self.service}"


STOPPING, ALONE = TimedPhase("stopping"), TimedPhase("alone")
WINDOW, RAMP = TimedPhase("window"), TimedPhase("ramp")
TIMED: Mapping[Step, TimedPhase] = {
    Step.STOPPING: STOPPING,
    Step.WARMING_UP: ALONE,
    Step.ALONE: ALONE,
    Step.WORDS: ALONE,
    Step.LOADING: WINDOW,
    Step.LOADING_AGAIN: WINDOW,
    Step.RAMP: RAMP,
    Step.RAMP_AGAIN: RAMP,
    Step.RAMP_LATE: RAMP,
    Step.SETTLING: RAMP,  # which mostly makes it necessary
}


class PhaseTimes:
    """Phase times pass each phase on, and add up the seconds until the next one.

    A second launch adds to the same phases.

    Args:
        on_phase: What each phase is passed on to.

    >>> phases = PhaseTimes(lambda phase: None)
    >>> for phase in (Phase(Step.STOPPING), Phase(Step.STARTING, "llm"), Phase(Step.RAMP)):
    ...     phases(phase)
    >>> list(phases.seconds())
    ['stopping', 'starting llm', 'ramp']
    """

    def __init__(self, on_phase: OnPhase) -> None:
        self._on_phase = on_phase
        self._seconds: dict[TimedPhase, float] = {}
        self._phase: TimedPhase | None = None
        self._since = time.monotonic()

    def __call__(self, phase: Phase) -> None:
        """Begin a phase."""
        self._add()
        starts = phase.service if phase.step is Step.STARTING else None
        self._phase = TimedPhase.start(starts) if starts else TIMED.get(phase.step)
        self._on_phase(phase)

    def seconds(self) -> dict[str, float]:
        """Return the seconds by the text of a phase until now, without what belongs to none."""
        self._add()
        return {str(phase): round(s, 3) for phase, s in self._seconds.items()}

    def _add(self) -> None:
        now = time.monotonic()
        if self._phase:
            self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._since = now
