"""Where the time of one evaluation goes: seconds by phase."""

from __future__ import annotations

import time

from objectives.evaluation import OnPhase, Phase, Step

TIMED = {
    Step.STOPPING: "stopping",
    Step.WARMING_UP: "alone",
    Step.ALONE: "alone",
    Step.LOADING: "window",
    Step.LOADING_AGAIN: "window",
    Step.LADDER: "ladder",
}


class PhaseTimes:
    """Passes each phase on and adds up the seconds until the next one.

    A second launch adds to the same phases.

    >>> phases = PhaseTimes(lambda phase: None)
    >>> for phase in (Phase(Step.STOPPING), Phase(Step.STARTING, "llm"), Phase(Step.LADDER), Phase(Step.LADDER)):
    ...     phases(phase)
    >>> list(phases.seconds())
    ['stopping', 'starting llm', 'ladder']
    """

    def __init__(self, on_phase: OnPhase) -> None:
        self._on_phase = on_phase
        self._seconds: dict[str, float] = {}
        self._name, self._since = "", time.monotonic()

    def __call__(self, phase: Phase) -> None:
        """Begin a phase."""
        self._add()
        is_start = phase.step is Step.STARTING
        self._name = f"starting {phase.service}" if is_start else TIMED.get(phase.step, "")
        self._on_phase(phase)

    def seconds(self) -> dict[str, float]:
        """Seconds by phase until now; what belongs to none is not among them."""
        self._add()
        return {name: round(s, 3) for name, s in self._seconds.items()}

    def _add(self) -> None:
        now = time.monotonic()
        if self._name:
            self._seconds[self._name] = self._seconds.get(self._name, 0.0) + now - self._since
        self._since = now
