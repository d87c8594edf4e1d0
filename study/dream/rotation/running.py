"""Turns that run are started, polled and stopped here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from study.dream.schedule.grants import Grant
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob

STOP_GRACE_S = 6.0


class RunningTurn(Protocol):
    """A turn runs, until it ends or is stopped."""

    @property
    def seconds(self) -> float: ...
    def poll(self) -> Report | None: ...
    def stop(self, grace_s: float) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True)
class EndedTurn:
    """An ended turn took its time, and left a report.

    Args:
        name: The experiment's name.
        seconds: What it took.
        report: What became of it.
    """

    name: str
    seconds: float
    report: Report


@dataclass(slots=True)
class RunningTurns:
    """These are the turns that run, by the names of their experiments.

    Args:
        start: It starts a turn.
    """

    start: Callable[[TurnJob], RunningTurn]
    _turns: dict[str, tuple[RunningTurn, Grant]] = field(default_factory=dict, init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the experiments."""
        return tuple(self._turns)

    @property
    def grants(self) -> list[Grant]:
        """Return what they have of the machine."""
        return [grant for _, grant in self._turns.values()]

    def begin(self, job: TurnJob, grant: Grant) -> None:
        """Start a turn."""
        self._turns[job.name] = self.start(job), grant

    def ended(self) -> list[EndedTurn]:
        """Return the turns that have ended since the last call."""
        reports = [(name, turn, turn.poll()) for name, (turn, _) in self._turns.items()]
        over = [EndedTurn(name, turn.seconds, report) for name, turn, report in reports if report]
        for each in over:
            del self._turns[each.name]
        return over

    def stop(self) -> list[EndedTurn]:
        """End every turn politely, and kill what does not end."""
        for turn, _ in self._turns.values():
            turn.stop(STOP_GRACE_S)
        over: list[EndedTurn] = []
        deadline = time.monotonic() + STOP_GRACE_S + 2.0
        while self._turns and time.monotonic() < deadline:
            over += self.ended()
            if self._turns:
                time.sleep(0.05)
        for name, (turn, _) in self._turns.items():
            turn.kill()
            over.append(EndedTurn(name, turn.seconds, Report(ending=TurnEnding.INTERRUPTED)))
        self._turns.clear()
        return over
