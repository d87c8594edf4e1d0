"""What a run is doing at this moment: kept as it is told, drawn on a terminal, said in a line anywhere else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from objectives.devices.telemetry import Occupancy
from objectives.evaluation import Phase, Step
from study.analysis.configurations import Configuration, configuration_of, configurations
from study.analysis.eligibility import is_eligible
from study.report.answer import launches
from study.storage.context import StudyContext
from study.storage.trials import Begun, Trial
from study.wording import SERVICE_NAMES, phase_in_words, short

MIB_PER_GIB = 1024
LABEL = len("best so far")
LOOK_S = 1.0  # memory is not read more often than this
# drawn, drawn in ASCII, style: told apart without colours too
SIGNS = {"tenant": ("▒", "t", "yellow"), "stt": ("▓", "s", "green"), "llm": ("█", "L", "blue")}
OTHERS, FREE = ("▚", "o", "magenta"), ("·", ".", "dim")


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known before the first trial of a run.

    Args:
        context: what the study asks
        size: configurations in the space; None where a range is continuous
        trials: the most over all runs
        timeout_s: of this run
        known: trials of earlier runs
        occupancy: who holds the device's memory now; None in a replay, which holds none
    """

    context: StudyContext
    size: int | None
    trials: int
    timeout_s: float
    known: Sequence[Trial] = ()
    occupancy: Callable[[], Occupancy] | None = None


class Scene:
    """A run as it is told to us; drawing it never fails a run: what goes wrong is logged, and the phase alone shown."""

    def __init__(self, outlook: Outlook, clock: Callable[[], float] = time.monotonic) -> None:
        self.outlook, self._clock = outlook, clock
        self._started = self._phase_since = clock()
        self._begun: Begun | None = None
        self._phase = "asking for the first trial"
        self._starting: str | None = None
        self._trials = list(outlook.known)
        self._launched = configurations(self._trials)
        self._seen: Occupancy | None = None
        self._seen_at: float | None = None
        self._is_broken = False

    def begin(self, begun: Begun) -> None:
        """A trial begins."""
        self._begun = begun

    def phase(self, phase: Phase) -> None:
        """A phase of it begins."""
        self._wait(phase_in_words(phase))
        self._starting = phase.service if phase.step is Step.STARTING else None

    def _wait(self, what: str) -> None:
        self._phase, self._starting, self._phase_since = what, None, self._clock()

    def ended(self, trial: Trial) -> None:
        """It has ended."""
        self._trials.append(trial)
        self._launched = configurations(self._trials)
        self._wait("asking for the next trial")

    def trial(self) -> str:
        """Which trial this is, and what it tries."""
        if self._begun is None:
            return "none yet"
        b = self._begun
        generation = "" if b.generation is None else f", generation {b.generation}"
        role = f", {b.role}" if b.role else ""
        return f"{b.number}{generation}{role}: {short(b.allocation)}"

    def best(self) -> str:
        """The highest mean fitness so far of what may be promoted, beside that of the allocation in use today."""
        eligible = [c for c in self._launched if is_eligible(c, self.outlook.context)]
        if not eligible:
            return "nothing yet that may be promoted"
        best = max(eligible, key=_fitness)
        today = configuration_of(self.outlook.context.baseline, self._launched)
        beside = (
            f"; today's {_fitness(today):.3f}"
            if today is not None and today.measured and today != best
            else ""
        )
        name = f"{short(best.allocation)}{' (as today)' if today == best else ''}"
        return f"{name}: fitness {_fitness(best):.3f} ({launches(best)}){beside}"

    def budget(self) -> str:
        """Trials and time, used and left."""
        used = sum(t.counts for t in self._trials)
        total, size = self.outlook.trials, self.outlook.size
        spent_s = self._clock() - self._started
        left_s = max(0.0, self.outlook.timeout_s - spent_s)
        tried = f", {len(self._launched)} of {size} configurations" if size is not None else ""
        return f"{used} of {total} trials{tried}; {clock_time(spent_s)} spent, {clock_time(left_s)} left"

    def summary(self) -> str:
        """The line that a pipe gets after each trial."""
        return f"best so far {self.best()}; {self.budget()}"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        waited_s = self._clock() - self._phase_since
        phase = Text(f"{self._phase} {waited_s:.0f} s", overflow="ellipsis", no_wrap=True)
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
            ("trial", Text(self.trial(), style="bold")),
            ("phase", phase),
        ]
        if (seen := self._occupancy()) is not None:
            bar, legend = memory_bar(
                seen, options.max_width - LABEL - 1, self._starting, is_ascii=options.ascii_only
            )
            lines += [("memory, GiB", bar), ("", legend)]
        lines += [("best so far", Text(self.best())), ("budget", Text(self.budget()))]
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(style="dim", min_width=LABEL)
        for name, text in lines:
            text.no_wrap, text.overflow = (
                name != "",
                "ellipsis",
            )  # what the signs mean may need two lines
            grid.add_row(name, text)
        return grid

    def _occupancy(self) -> Occupancy | None:
        """The device's memory, read at most once in `LOOK_S`."""
        if self.outlook.occupancy is None:
            return None
        if self._seen_at is None or self._clock() - self._seen_at >= LOOK_S:
            self._seen, self._seen_at = self.outlook.occupancy(), self._clock()
        return self._seen


def _fitness(c: Configuration) -> float:
    return c.fitness or 0.0


def memory_bar(
    seen: Occupancy, width: int, starting: str | None, *, is_ascii: bool = False
) -> tuple[Text, Text]:
    """Who holds the memory as a bar of `width` signs, and what the signs mean, in GiB.

    starting: the server that starts now, to which goes what is in use beyond what is known; else "other" gets it

    >>> seen = Occupancy(8192.0, 2048.0, {"game": 2048.0, "stt": 1024.0})
    >>> for text in memory_bar(seen, 8, "llm", is_ascii=True): print(text)
    ttsLLL..
    t game 2.0 s speech 1.0 L LLM 3.0 . free 2.0 of 8.0
    """
    held, others = dict(seen.held_mib), seen.others_mib
    rest = max(0.0, seen.total_mib - seen.free_mib - others - sum(held.values()))
    if starting is not None:
        held[starting] = held.get(starting, 0.0) + rest
    else:
        others += rest
    parts = [
        (SERVICE_NAMES.get(name, name), mib, SIGNS.get(name, SIGNS["tenant"]))
        for name, mib in held.items()
    ]
    parts += [("other", others, OTHERS)] if others >= 0.05 * MIB_PER_GIB else []
    bar, legend, end = Text(), Text(), 0.0
    for name, mib, (sign, letter, style) in [*parts, ("free", seen.free_mib, FREE)]:
        shown = letter if is_ascii else sign
        end += mib
        until = (
            width if sign == FREE[0] else min(width, round(width * end / max(1.0, seen.total_mib)))
        )
        bar.append(shown * max(0, until - len(bar)), style)
        legend.append(shown, style).append(f" {name} {mib / MIB_PER_GIB:.1f} ")
    legend.append(f"of {seen.total_mib / MIB_PER_GIB:.1f}")
    return bar, legend


def clock_time(seconds: float) -> str:
    """Minutes and seconds, with hours where there are any.

    >>> clock_time(75), clock_time(3723)
    ('1:15', '1:02:03')
    """
    minutes, s = divmod(int(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02d}:{s:02d}" if hours else f"{m}:{s:02d}"
