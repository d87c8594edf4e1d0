"""The live view pictures what a run is doing at this moment.

It keeps what it is told, draws it on a terminal, and says it in a line anywhere else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from objectives.devices.telemetry import Occupancy
from objectives.diagnosis.diagnosis import consequence_of
from objectives.engines.registry import apis_of
from objectives.evaluation import Phase, Step
from study.analysis.configurations import Configuration, configuration_of, configurations_in
from study.analysis.promotion_eligibility import is_eligible
from study.cli.memory_bar import memory_bar
from study.lanes.lane import Lane
from study.report.answer import launches_in_words
from study.report.service_words import first_look
from study.storage.context import StudyContext
from study.storage.trial import Begun, Trial
from study.wording.allocations import short
from study.wording.phases import phase_in_words

LABEL = len("best so far")
MEMORY_PERIOD_S = 1.0  # memory is not read more often than this


@dataclass(frozen=True, slots=True)
class Outlook:
    """The outlook is what is known before the first trial of a run.

    Args:
        context: What the study asks.
        size: Configurations in the space; None where a range is continuous.
        trials: The most over all runs.
        timeout_s: Of this run.
        known: Trials of earlier runs.
        occupancy: Who holds the device's memory now; None in a replay, which holds none.
        lanes: The lanes, where several cards are measured on at once.
    """

    context: StudyContext
    size: int | None
    trials: int
    timeout_s: float
    known: Sequence[Trial] = ()
    occupancy: Callable[[], Occupancy] | None = None
    lanes: Sequence[Lane] = ()


class Scene:
    """A scene is a run as its events show it.

    Drawing it never fails a run: what goes wrong is logged, and the phase alone shown.

    Args:
        outlook: What is known beforehand.
        clock: The time now, seconds, from any start.
    """

    def __init__(self, outlook: Outlook, clock: Callable[[], float] = time.monotonic) -> None:
        self.outlook, self._clock = outlook, clock
        self._started = self._phase_since = clock()
        self._begun: Begun | None = None
        self._phase = "asking for the first trial"
        self._starting: str | None = None
        self._retry: str | None = None
        self._known = len(outlook.known)
        self._trials = list(outlook.known)
        self._launched = configurations_in(self._trials)
        self._memory: Occupancy | None = None
        self._memory_at: float | None = None
        self._is_broken = False

    def begin(self, begun: Begun) -> None:
        """Note that a trial begins."""
        self._begun, self._retry = begun, None

    def phase(self, phase: Phase) -> None:
        """Note that a phase of the trial begins."""
        self._wait(phase_in_words(phase))
        if phase.step is Step.RETRYING:
            self._retry = self._phase
        self._starting = phase.service if phase.step is Step.STARTING else None

    def _wait(self, what: str) -> None:
        self._phase, self._starting, self._phase_since = what, None, self._clock()

    def first_look(self, trial: Trial) -> list[str]:
        """Say what the study's first launch of the baseline shows; nothing of another.

        Of a replay it says only that the baseline fails. It is asked before `ended` is told of the
        trial.
        """
        context, measured = self.outlook.context, trial.measurement
        today = configuration_of(context.baseline, self._launched)
        is_first = today is None or not today.measured
        is_launched = str(trial.allocation) == str(context.baseline) and trial.repeat_of is None
        if not is_launched or not is_first:
            return []
        d = trial.diagnosis
        if d is not None and not consequence_of(d.failure_class).is_foreign:
            what = "what is in use today does" if context.has_today else "what was tried first does"
            return [f"{what} not work: the first that works is what others are compared with"]
        if measured is None or self.outlook.occupancy is None:
            return []
        return first_look(context, measured)

    def ended(self, trial: Trial) -> None:
        """Note that a trial has ended."""
        self._trials.append(trial)
        self._launched = configurations_in(self._trials)
        self._wait("asking for the next trial")

    def trial(self) -> str:
        """Say which trial this is, and what it tries."""
        if self._begun is None:
            return "none yet"
        b = self._begun
        generation = "" if b.generation is None else f", generation {b.generation}"
        role = f", {b.role}" if b.role else ""
        return f"{b.number}{generation}{role}: {short(b.allocation)}"

    def best(self) -> str:
        """Name the highest mean fitness so far of what may be promoted.

        It stands beside that of the allocation in use today.
        """
        eligible = [c for c in self._launched if is_eligible(c, self.outlook.context)]
        if not eligible:
            return "nothing yet that may be promoted"
        best = max(eligible, key=_fitness)
        context = self.outlook.context
        today = configuration_of(context.baseline, self._launched) if context.has_today else None
        beside = (
            f"; today's {_fitness(today):.3f}"
            if today is not None and today.measured and today != best
            else ""
        )
        name = f"{short(best.allocation)}{' (as today)' if today and today == best else ''}"
        return f"{name}: fitness {_fitness(best):.3f} ({launches_in_words(best)}){beside}"

    def budget(self) -> str:
        """Say how many trials and how much time are used and left."""
        used = sum(t.counts for t in self._trials)
        total, size = self.outlook.trials, self.outlook.size
        spent_s = self._clock() - self._started
        left_s = max(0.0, self.outlook.timeout_s - spent_s)
        progress = f", {len(self._launched)} of {size} configurations" if size is not None else ""
        clock = f"{clock_time(spent_s)} spent, {clock_time(left_s)} left"
        ended = len(self._trials) - self._known
        if ended and self.outlook.occupancy is not None:  # a replay takes no time
            end_s = min(left_s, spent_s / ended * max(0, total - used))
            clock += f", ends in {clock_time(end_s)} or sooner"
        return f"{used} of {total} trials{progress}; {clock}"

    def summary(self) -> str:
        """Return the line that a pipe gets after each trial."""
        return f"best so far {self.best()}; {self.budget()}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        waited_s = self._clock() - self._phase_since
        phase = Text(f"{self._phase} {waited_s:.0f} s")
        if self._is_broken:
            yield phase
            return
        try:
            yield self._picture(phase, options)
        except Exception:  # a picture never ends a run
            self._is_broken = True
            logging.getLogger("study.runner").exception("the picture of the run failed")
            yield phase

    def _picture(self, phase: Text, options: ConsoleOptions) -> Table:
        lines: list[tuple[str, Text]] = [
            (lane.name, self._lane(lane)) for lane in self.outlook.lanes
        ]
        lines = lines or [("trial", Text(self.trial(), style="bold")), ("phase", phase)]
        if self._retry is not None:
            lines.insert(1, ("again", Text(self._retry)))
        if (memory := self._occupancy()) is not None:
            bar, legend = memory_bar(
                memory,
                list(apis_of(self.outlook.context.services)),
                options.max_width - LABEL - 1,
                self._starting,
                is_ascii=options.ascii_only,
            )
            bar.no_wrap = True  # prose goes on below; a bar cannot
            lines += [("memory, GiB", bar), ("", legend)]
        lines += [("best so far", Text(self.best())), ("budget", Text(self.budget()))]
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(style="dim", min_width=LABEL)
        for name, text in lines:
            text.overflow = "fold"
            grid.add_row(name, text)
        return grid

    def _lane(self, lane: Lane) -> Text:
        """Return what a lane is doing, and for how long."""
        if lane.retired is not None:
            return Text(f"used no more: {lane.retired}", style="red")
        task = lane.task
        doing = phase_in_words(lane.phase) if lane.phase else None
        what = doing or ("waits" if lane.is_ready else "starts")
        if task is not None:
            what = f"{task.label}: {short(task.job.allocation)}; {doing or 'begins'}"
        return Text(f"{what} {self._clock() - lane.phase_s:.0f} s")

    def _occupancy(self) -> Occupancy | None:
        """Return who holds the device's memory, read at most once in `MEMORY_PERIOD_S`."""
        if self.outlook.occupancy is None:
            return None
        if self._memory_at is None or self._clock() - self._memory_at >= MEMORY_PERIOD_S:
            self._memory, self._memory_at = self.outlook.occupancy(), self._clock()
        return self._memory


def _fitness(c: Configuration) -> float:
    return c.fitness or 0.0


def clock_time(seconds: float) -> str:
    """Return minutes and seconds, with hours where there are any.

    >>> clock_time(75), clock_time(3723)
    ('1:15', '1:02:03')
    """
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"
