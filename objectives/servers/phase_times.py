"""The time of one evaluation is added up by phase, in seconds."""

from __future__ import annotations

import time

from objectives.evaluation import OnPhase, Phase, Step

TIMED = {
    Step.STOPPING: "stopping",
    Step.WARMING_UP: "alone",
    Step.ALONE: "alone",
    Step.WORDS: "alone",
    Step.LOADING: "window",
    Step.LOADING_AGAIN: "window",
    Step.RAMP: "ramp",
    Step.RAMP_AGAIN: "ramp",
    Step.RAMP_LATE: "ramp",
    Step.SETTLING: "ramp",  # which mostly makes it necessary
}


STARTING = "starting "


def start_name(service: str) -> str:
    """Return the name of the time in which a service's server starts.

    >>> start_name("llm"), started_service(start_name("llm")), started_service("window")
    ('starting llm', 'llm', None)
    """
    return f"{STARTING}{service}"


def started_service(name: str) -> str | None:
    """Return the service of such a name; None for another one."""
    return name.removeprefix(STARTING) if name.startswith(STARTING) else None


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
        self._seconds: dict[str, float] = {}
        self._name, self._since = "", time.monotonic()

    def __call__(self, phase: Phase) -> None:
        """Begin a phase."""
        self._add()
        starts = phase.service if phase.step is Step.STARTING else None
        self._name = start_name(starts) if starts else TIMED.get(phase.step, "")
        self._on_phase(phase)

    def seconds(self) -> dict[str, float]:
        """Return the seconds by phase until now, without what belongs to none."""
        self._add()
        return {name: round(s, 3) for name, s in self._seconds.items()}

    def _add(self) -> None:
        now = time.monotonic()
        if self._name:
            self._seconds[self._name] = self._seconds.get(self._name, 0.0) + now - self._since
        self._since = now
