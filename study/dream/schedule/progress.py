"""The progress of an experiment says how far it has come, and why it may have to wait. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from objectives.plain_data.atomic import write_atomic
from study.dream.turns.turn_job import Report, TurnEnding

LONGEST_PAUSE_S = 86_400.0
RAREST = 8  # cycles from one turn to the next, of an experiment that does not improve
TREND = 20  # generations


class Wait(StrEnum):
    """A wait is why an experiment has no turn now."""

    DISABLED = "disabled"
    BROKEN = "broken"
    FINISHED = "finished"
    STOPPED = "stopped"
    SPENT = "budget is used"
    PAUSE = "failed"
    BUSY = "its device is in use"
    RARELY = "no better result"
    DONE = "had its turns of this cycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentProgress:
    """Progress is that of an experiment over all cycles.

    Args:
        digest: Of its entry when it last ran; another entry begins with no failures.
        epochs: The generations so far.
        seconds: What they took.
        last_ended: When the last one ended, seconds since 1970; 0 before the first.
        cycle: The cycle in which it last ran.
        in_cycle: Its generations in that cycle.
        seconds_in_cycle: What those took.
        stale: The generations since it last became better.
        failures: How often in a row it failed.
        retry_at: When it may be tried again, seconds since 1970.
        ending: How its last turn ended.
        reason: Why, where that needs saying.
        best: The best fitness; None where nothing was measured.
        best_params: The best candidate.
        trend: The best fitness after each of the last generations.
        is_confirming: Whether its next turn confirms its candidate.
    """

    digest: str = ""
    epochs: int = 0
    seconds: float = 0.0
    last_ended: float = 0.0
    cycle: int = 0
    in_cycle: int = 0
    seconds_in_cycle: float = 0.0
    stale: int = 0
    failures: int = 0
    retry_at: float = 0.0
    ending: str = ""
    reason: str = ""
    best: float | None = None
    best_params: Mapping[str, Any] | None = None
    trend: tuple[float, ...] = ()
    is_confirming: bool = False

    def of(self, digest: str) -> ExperimentProgress:
        """Return the progress of an entry: what stopped another entry does not stop this one."""
        if digest == self.digest:
            return self
        return replace(
            self,
            digest=digest,
            failures=0,
            retry_at=0.0,
            ending="",
            reason="",
            stale=0,
            is_confirming=False,
        )

    def after(
        self, report: Report, *, seconds: float, now: float, cycle: int, backoff_s: float
    ) -> ExperimentProgress:
        """Return the progress after a turn.

        Args:
            report: What became of it.
            seconds: What it took.
            now: When it ended, seconds since 1970.
            cycle: The cycle that it was part of.
            backoff_s: The pause after a first failure, seconds; each further one doubles it.
        """
        is_same = cycle == self.cycle
        has_run = report.ending in (TurnEnding.RAN, TurnEnding.FINISHED)
        is_failure = report.ending is TurnEnding.FAILED
        failures = self.failures + 1 if is_failure else 0 if has_run else self.failures
        pause_s = (
            min(LONGEST_PAUSE_S, backoff_s * 2 ** min(failures - 1, 30)) if is_failure else 0.0
        )
        if report.ending is TurnEnding.BUSY:
            pause_s = min(LONGEST_PAUSE_S, backoff_s)
        best = self.best if report.best is None else report.best
        measured = () if not has_run or best is None else (best,)
        return replace(
            self,
            epochs=self.epochs + has_run,
            seconds=self.seconds + seconds,
            last_ended=now,
            cycle=cycle,
            in_cycle=(self.in_cycle if is_same else 0) + has_run,
            seconds_in_cycle=(self.seconds_in_cycle if is_same else 0.0) + seconds,
            stale=0 if report.is_better or report.is_confirming else self.stale + has_run,
            failures=failures,
            retry_at=now + pause_s if pause_s else 0.0,
            ending=report.ending.value,
            reason=report.reason,
            best=best,
            best_params=self.best_params if report.best is None else report.best_params,
            trend=(*self.trend, *measured)[-TREND:],
            is_confirming=report.is_confirming if has_run else self.is_confirming,
        )

    def wait(
        self,
        *,
        now: float,
        cycle: int,
        most: int,
        patience: int,
        total_s: float | None = None,
    ) -> Wait | None:
        """Return why it has no turn now; None where it may have one.

        Args:
            now: Seconds since 1970.
            cycle: The cycle that goes on.
            most: The most generations of a cycle.
            patience: The generations without a better result after which it runs less often.
            total_s: The time that it may take over all cycles, seconds.
        """
        match self.ending:
            case TurnEnding.FINISHED:
                return Wait.FINISHED
            case TurnEnding.STOPPED:
                return Wait.STOPPED
        is_busy = self.ending == TurnEnding.BUSY
        is_same = self.cycle == cycle
        # what lies further off was written before the clock was set back
        is_early = now < self.retry_at <= now + LONGEST_PAUSE_S
        reasons = {
            Wait.SPENT: total_s is not None and self.seconds >= total_s,
            Wait.BUSY: is_busy and is_early,
            Wait.PAUSE: not is_busy and is_early,
            Wait.DONE: is_same and self.in_cycle >= self.allowed(most, patience),
            Wait.RARELY: not is_same and self.epochs > 0 and cycle < self.next_cycle(patience),
        }
        return next((wait for wait, holds in reasons.items() if holds), None)

    def allowed(self, most: int, patience: int) -> int:
        """Return how many generations of a cycle it has: one where it does not improve."""
        return 1 if self.stale >= patience else most

    def next_cycle(self, patience: int) -> int:
        """Return the cycle of its next turn; the longer it does not improve, the later."""
        pause = 1 << min(self.stale // patience, 10)
        return self.cycle + min(RAREST, pause)


@dataclass(frozen=True, slots=True)
class RunnerState:
    """The state of a runner survives it.

    Args:
        cycle: The cycle that goes on, from 1.
        progress: The progress of each experiment, by name.
        running: The names of those that have a turn now.
    """

    cycle: int = 0
    progress: Mapping[str, ExperimentProgress] = field(default_factory=dict)
    running: tuple[str, ...] = ()

    def of(self, name: str, digest: str) -> ExperimentProgress:
        """Return the progress of an experiment."""
        return self.progress.get(name, ExperimentProgress()).of(digest)

    def write(self, path: Path) -> None:
        """Write it whole."""
        write_atomic(path, json.dumps(asdict(self), indent=1, default=str))

    @classmethod
    def read(cls, path: Path) -> RunnerState:
        """Return the state of a file; a new one where there is none that can be read."""
        try:
            data = json.loads(path.read_text("utf-8"))
            progress = {
                name: ExperimentProgress(**{**p, "trend": tuple(p["trend"])})
                for name, p in data["progress"].items()
            }
            return cls(int(data["cycle"]), progress, tuple(data["running"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls()
