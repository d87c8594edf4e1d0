"""The runner: cycles of turns, until it is told to stop."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.dream.experiments.file import DreamFile, read_dream_file
from study.dream.experiments.model import Experiment, GenericExperiment, OwnExperiment
from study.dream.experiments.quiet_hours import quiet_until
from study.dream.rotation.lanes import Lane, demand_of, lane_for
from study.dream.rotation.progress import Progress, State, Wait
from study.dream.rotation.status import status_table
from study.dream.turns.job import Ending, Job, Report
from study.dream.turns.log import Log

STATE_FILE, PAGE = "state.json", "status.html"
STOP_GRACE_S = 6.0
SHORTEST_PAUSE_S = 1.0  # between cycles in which nothing ran


class Turn(Protocol):
    """A turn that runs."""

    @property
    def seconds(self) -> float: ...
    def poll(self) -> Report | None: ...
    def stop(self, grace_s: float) -> None: ...
    def kill(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOptions:
    """The options of a runner.

    Args:
        config: The D-REAM file, read anew each cycle.
        logdir: The folder of logs.
        root: The folder of artifacts; None for that of the file, or artifacts/dream.
        epochs_per_cycle: The generations of an experiment in one cycle.
        max_parallel: How many experiments may run at once; None for that of the file, or 1.
        sleep_s: The pause between two cycles, seconds.
        cycles: The number of cycles; None: it goes on.
        experiment: The only experiment to run, also where it is not enabled.
    """

    config: Path
    logdir: Path
    root: Path | None = None
    epochs_per_cycle: int = 1
    max_parallel: int | None = None
    sleep_s: float = 0.0
    cycles: int | None = None
    experiment: str | None = None


@dataclass(slots=True)
class Runner:
    """A runner goes through cycles; what it knows lies in its state file.

    Args:
        options: What it was asked for.
        log: It gets every line.
        start: It starts a turn.
        pause: It waits for so many seconds, or until something happens.
        clock: The time, seconds since 1970.
        cores: The machine's cores.
        is_stopping: Whether it was told to stop.
        is_reloading: Whether it was told to read the file without waiting for the next cycle.
    """

    options: RunnerOptions
    log: Log
    start: Callable[[Job], Turn]
    pause: Callable[[float], None]
    clock: Callable[[], float] = time.time
    cores: tuple[int, ...] = field(default_factory=lambda: tuple(sorted(os.sched_getaffinity(0))))
    is_stopping: bool = False
    is_reloading: bool = False
    _file: DreamFile = field(init=False)
    _state: State = field(init=False)
    _running: dict[str, tuple[Turn, Lane]] = field(default_factory=dict, init=False)
    _told: set[tuple[str, str]] = field(default_factory=set, init=False)
    _began: float = field(default=0.0, init=False)
    _has_run: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._file = read_dream_file(self.options.config)
        self._state = State.read(self.options.logdir / STATE_FILE)

    @property
    def root(self) -> Path:
        """Return the folder of artifacts."""
        return self.options.root or self._file.artifact_root or Path("artifacts/dream")

    def run(self) -> None:
        """Run the cycles."""
        done = 0
        while not self.is_stopping and (self.options.cycles is None or done < self.options.cycles):
            if done:
                self._sleep()
                if self.is_stopping:
                    break
            self._read_anew()
            self._cycle()
            done += 1
        self.stop_turns()

    def stop_turns(self) -> None:
        """End every turn politely, and kill what does not end."""
        for turn, _ in self._running.values():
            turn.stop(STOP_GRACE_S)
        deadline = time.monotonic() + STOP_GRACE_S + 2.0
        while self._running and time.monotonic() < deadline:
            self._collect()
            if self._running:
                time.sleep(0.05)
        for name, (turn, _) in [*self._running.items()]:
            turn.kill()
            self._ended(name, turn, Report(ending=Ending.INTERRUPTED))
        self._keep()

    def _read_anew(self) -> None:
        """Read the file; one that cannot be read leaves the one before in force."""
        self.is_reloading = False
        try:
            self._file = read_dream_file(self.options.config)
        except BadInput as error:
            self.log.line(f"the file before stays in force: {error}")
        if self._file.ignored and ("", "ignored") not in self._told:
            self._told.add(("", "ignored"))
            self.log.line(f"not used: {', '.join(self._file.ignored)}")
        for broken in self._file.broken:
            is_wanted = broken.is_enabled and self.options.experiment in (None, broken.name)
            if is_wanted and (broken.name, broken.digest) not in self._told:
                self._told.add((broken.name, broken.digest))
                self.log.about(broken.name).line(f"skipped: {broken.reason}")
        for experiment in self._wanted():
            if (experiment.name, experiment.digest) not in self._told:
                self._told.add((experiment.name, experiment.digest))
                for note in experiment.notes:
                    self.log.about(experiment.name).line(f"note: {note}")

    def _wanted(self) -> list[Experiment]:
        """Return the experiments that take part."""
        if self.options.experiment is not None:
            return [e for e in self._file.experiments if e.name == self.options.experiment]
        return [e for e in self._file.experiments if e.is_enabled]

    def _cycle(self) -> None:
        self._began, self._has_run = self.clock(), False
        self._state = replace(self._state, cycle=self._state.cycle + 1)
        self._keep()
        while not self.is_stopping:
            self._collect()
            if not self._is_quiet():
                self._start_ready()
                if not self._running:
                    break
            if not self.is_stopping:
                self.pause(1.0)
        if self._has_run and not self.is_stopping:
            self.log.line(f"cycle {self._state.cycle} ended after {self._elapsed_s():.0f} s")

    def _is_quiet(self) -> bool:
        now = datetime.fromtimestamp(self.clock()).astimezone()
        until = quiet_until(self._file.quiet_hours, now)
        if until is None:
            return False
        self.log.line(f"quiet hours until {until:%H:%M}: nothing runs")
        self.stop_turns()
        while not self.is_stopping and self.clock() < until.timestamp():
            self.pause(min(60.0, until.timestamp() - self.clock()))
        return True

    def _start_ready(self) -> None:
        """Start whoever is next, as long as there is room."""
        most = self.options.max_parallel or self._file.max_parallel or 1
        wanted = self._wanted()
        measuring = [e for e in wanted if demand_of(e).device is not None]
        # also where those on the CPU are finished: a study keeps its cores from trial to trial
        is_measured = (
            most > 1
            and len(measuring) < len(wanted)
            and any(
                self._progress(e).ending not in (Ending.FINISHED, Ending.STOPPED) for e in measuring
            )
        )
        for experiment in self._order(wanted):
            if len(self._running) >= most or self._is_over():
                return
            demand = demand_of(experiment)
            lane = lane_for(
                demand,
                [lane for _, lane in self._running.values()],
                self.cores,
                is_measured=is_measured,
                cpu_pct=self._file.cpu_pct,
            )
            if lane is not None:
                self._begin(experiment, lane)
            elif demand.device is not None:
                return  # it has waited longest: nobody takes the cores that it waits for

    def _order(self, wanted: list[Experiment]) -> list[Experiment]:
        """Return who may have a turn now, the least recently run first.

        Where the time of a cycle is limited, whoever has used its share of it comes last.
        """
        ready = [e for e in wanted if e.name not in self._running and self.wait_of(e) is None]
        share_s = (self._file.cycle_s or float("inf")) / max(1, len(wanted))

        def key(experiment: Experiment) -> tuple[bool, float]:
            progress = self._progress(experiment)
            is_same = progress.cycle == self._state.cycle
            used_s = progress.seconds_in_cycle if is_same else 0.0
            return used_s >= share_s, progress.last_ended

        return sorted(ready, key=key)

    def wait_of(self, experiment: Experiment) -> Wait | None:
        """Return why an experiment has no turn now."""
        most = self.options.epochs_per_cycle
        total_s = None
        match experiment:
            case GenericExperiment() as generic:
                most, total_s = min(most, generic.budget.max_generations), generic.budget.total_sec
            case OwnExperiment() as own:
                most = min(most, own.max_generations)
        return self._progress(experiment).wait(
            now=self.clock(),
            cycle=self._state.cycle,
            most=most,
            patience=experiment.patience,
            total_s=total_s,
        )

    def _begin(self, experiment: Experiment, lane: Lane) -> None:
        progress = self._progress(experiment)
        job = Job(
            config=self._file.path,
            name=experiment.name,
            root=self.root.absolute(),
            logdir=self.options.logdir.absolute(),
            report=(self.options.logdir / "turns" / f"{experiment.slug}.json").absolute(),
            cores=lane.cores if lane.cores != self.cores else (),
            generation=progress.in_cycle if progress.cycle == self._state.cycle else 0,
            is_confirming=progress.is_confirming,
        )
        what = "confirmation" if job.is_confirming else f"generation {job.generation + 1}"
        self.log.about(experiment.name).line(f"cycle {self._state.cycle}, {what} begins")
        self._running[experiment.name] = self.start(job), lane
        self._has_run = True
        self._keep()

    def _collect(self) -> None:
        """Take in what turns that have ended report."""
        for name, (turn, _) in [*self._running.items()]:
            if (report := turn.poll()) is not None:
                self._ended(name, turn, report)

    def _ended(self, name: str, turn: Turn, report: Report) -> None:
        del self._running[name]
        entry = self._file.named(name)
        progress = self._state.of(name, entry.digest if entry else "").after(
            report,
            seconds=turn.seconds,
            now=self.clock(),
            cycle=self._state.cycle,
            backoff_s=self._file.backoff_s,
        )
        self._state = replace(self._state, progress={**self._state.progress, name: progress})
        self._keep()
        self._write_page()
        log = self.log.about(name)
        match report.ending:
            case Ending.RAN | Ending.FINISHED:
                best = "nothing measured" if report.best is None else f"best {report.best:.6g}"
                what = report.reason or f"{report.evaluated} evaluated, {best}"
                is_over = report.ending is Ending.FINISHED
                log.line(f"{'finished' if is_over else 'turn ended'}: {what}")
            case Ending.STOPPED:
                log.line(f"stopped: {report.reason}; it goes on once its entry has changed")
            case Ending.BUSY | Ending.FAILED:
                pause_s = progress.retry_at - progress.last_ended
                log.line(f"{report.ending}: {report.reason}; tried again after {pause_s:.0f} s")
            case Ending.INTERRUPTED:
                log.line("interrupted; it goes on where it was")

    def _sleep(self) -> None:
        """Pause between two cycles; after one in which nothing ran, until something may."""
        pause_s = self.options.sleep_s
        if not self._has_run:
            pause_s = max(pause_s, SHORTEST_PAUSE_S)
        until = self.clock() + pause_s
        while not (self.is_stopping or self.is_reloading) and self.clock() < until:
            self.pause(until - self.clock())

    def _progress(self, experiment: Experiment) -> Progress:
        return self._state.of(experiment.name, experiment.digest)

    def _elapsed_s(self) -> float:
        return self.clock() - self._began

    def _is_over(self) -> bool:
        return self._file.cycle_s is not None and self._elapsed_s() >= self._file.cycle_s

    def status(self, *, is_alive: bool) -> Table:
        """Return where every experiment stands."""
        state = replace(self._state, running=tuple(self._running) or self._state.running)
        waits = {e.name: self.wait_of(e) for e in self._file.experiments}
        return status_table(self._file, state, waits, is_alive=is_alive)

    def _write_page(self) -> None:
        page = Console(record=True, file=io.StringIO(), width=160)
        page.print(self.status(is_alive=True))
        write_atomic(self.options.logdir / PAGE, page.export_html())

    def _keep(self) -> None:
        state = replace(self._state, running=tuple(self._running))
        self.options.logdir.mkdir(parents=True, exist_ok=True)
        state.write(self.options.logdir / STATE_FILE)
