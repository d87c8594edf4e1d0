"""Where the time of one evaluation goes: seconds by phase, from the phases that its user is told."""

from __future__ import annotations

import time
from collections.abc import Callable

KINDS = {
    "stopping": "stopping",
    "starting speech": "starting speech",
    "starting LLM": "starting LLM",
    "warming up": "alone",
    "each service alone": "alone",
    "loading both": "window",
    "ladder at": "ladder",
}


class Phases:
    """Passes each phase on and adds up the seconds until the next one; a second launch adds to the same phases.

    >>> phases = Phases(lambda said: None)
    >>> for said in ("stopping", "starting LLM", "ladder at 8 sessions", "ladder at 4 sessions"):
    ...     phases(said)
    >>> list(phases.seconds())
    ['stopping', 'starting LLM', 'ladder']
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._seconds: dict[str, float] = {}
        self._kind, self._since = "", time.monotonic()

    def __call__(self, said: str) -> None:
        """A new phase begins."""
        self._add()
        self._kind = next((kind for begin, kind in KINDS.items() if said.startswith(begin)), "")
        self._tell(said)

    def seconds(self) -> dict[str, float]:
        """Seconds by phase until now; what belongs to none is not among them."""
        self._add()
        return {kind: round(s, 3) for kind, s in self._seconds.items()}

    def _add(self) -> None:
        now = time.monotonic()
        if self._kind:
            self._seconds[self._kind] = self._seconds.get(self._kind, 0.0) + now - self._since
        self._since = now
