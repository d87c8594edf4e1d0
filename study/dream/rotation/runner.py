"""The runner goes through cycles of turns, until it is told to stop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from objectives.plain_data.atomic import write_atomic
from study.dream.experiments.model import Experiment
from study.dream.experiments.quiet_hours import quiet_until
from study.dream.rotation.in_force import InForce
from study.dream.rotation.running import EndedTurn, RunningTurn, RunningTurns
from study.dream.rotation.status import ended_in_words, standings, status_page
from study.dream.schedule.grants import Grant, Split, demand_of, grant_for
from study.dream.schedule.options import DEFAULT_ROOT, RunnerOptions
from study.dream.schedule.order import left_s, ready
from study.dream.schedule.progress import RunnerState
from study.dream.turns.log import TurnLog
from study.dream.turns.turn_job import TurnEnding, TurnJob

SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # between cycles in which nothing ran
OVER = (TurnEnding.FINISHED, TurnEnding.STOPPED)


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
        steady: The seconds of a clock that nobody sets.
        is_stopping: Whether it was told to stop.
        is_reloading: Whether it was told to read the file without waiting for the next cycle.
    """

    options: RunnerOptions
    log: TurnLog
    start: Callable[[TurnJob], RunningTurn]
    pause: Callable[[float], None]
    clock: Callable[[], float] = time.time
    cores: tuple[int, ...] = field(default_factory=lambda: tuple(sorted(os.sched_getaffinity(0))))
    steady: Callable[[], float] = time.monotonic
    is_stopping: bool = False
    is_reloading: bool = False
    in_force: InForce = field(init=False)
    _state: RunnerState = field(init=False)
    _running: RunningTurns = field(init=False)
    _began: float = field(default=0.0, init=False)
    _empty: int = field(default=-1, init=False)  # cycles in a row in which nothing ran
    _unwritten: str = field(default="", init=False)  # why, as it was said

    def __post_init__(self) -> None:
        self.in_force = InForce(self.options, self.log)
        self._state = RunnerState.read(self.options.state_file)
        self._running = RunningTurns(self.start)

    @property
    def root(self) -> Path:
        """Return the folder of artifacts."""
        return self.options.root or self.in_force.file.artifact_root or DEFAULT_ROOT

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
        """End every turn, and keep what became of them."""
        for ended in self._running.stop():
            self._take(ended)
        self._keep()

    def _read_anew(self) -> None:
        self.is_reloading = False
        self.in_force.read_anew()
        self._write(self.in_force.write)

    def _cycle(self) -> None:
        self._began, self._empty = self.steady(), self._empty + 1
        self._state = replace(self._state, cycle=self._state.cycle + 1)
        self._keep()
        while not self.is_stopping:
            for ended in self._running.ended():
                self._take(ended)
            if not self._is_quiet():
                self._start_ready()
                if not self._running.names:
                    break
            if not self.is_stopping:
                self.pause(1.0)
        if self._empty < 0 and not self.is_stopping:
            self.log.line(f"cycle {self._state.cycle} ended after {self._elapsed_s():.0f} s")

    def _is_quiet(self) -> bool:
        """End all turns in quiet hours and wait until they are over; say whether there were any."""
        until = quiet_until(self.in_force.file.quiet_hours, datetime.fromtimestamp(self.clock()))
        if until is None:
            return False
        self.log.line(f"quiet hours until {until:%H:%M}: nothing runs")
        self.stop_turns()
        while not (self.is_stopping or self.is_reloading) and self.clock() < until.timestamp():
            self.pause(min(60.0, until.timestamp() - self.clock()))
        if self.is_reloading:
            self._read_anew()
        return True

    def _start_ready(self) -> None:
        """Start whoever is next, as long as there is room."""
        file, wanted = self.in_force.file, self.in_force.wanted
        most = self.options.max_parallel or file.max_parallel or 1
        # also where those on the CPU are finished: a study keeps its cores from trial to trial
        going = [e for e in wanted if self._ending(e) not in OVER or demand_of(e).device is None]
        split = Split.of([demand_of(e) for e in going], most, self.cores, file.cpu_pct)
        for experiment in ready(wanted, self._state, self.options, self.clock(), file.cycle_s):
            if len(self._running.names) >= most or self._is_over():
                return
            demand, running = demand_of(experiment), self._running.grants
            grant = grant_for(demand, running, split)
            if grant is not None:
                self._begin(experiment, grant)
            elif demand.device is not None and demand.device not in [x.device for x in running]:
                return  # it has waited longest: nobody takes the cores that it waits for

    def _begin(self, experiment: Experiment, grant: Grant) -> None:
        progress = self._state.of(experiment.name, experiment.digest)
        elapsed_s = self._elapsed_s()
        job = TurnJob(
            config=self.in_force.file.path,
            in_force=self.options.in_force_file.absolute(),
            name=experiment.name,
            root=self.root.absolute(),
            logdir=self.options.logdir.absolute(),
            report=(self.options.logdir / "turns" / f"{experiment.slug}.json").absolute(),
            cores=grant.cores if grant.cores != self.cores else (),
            generation=progress.in_cycle if progress.cycle == self._state.cycle else 0,
            is_confirming=progress.is_confirming,
            left_s=left_s(experiment, self._state, self.in_force.file.cycle_s, elapsed_s),
        )
        what = "confirmation" if job.is_confirming else f"generation {job.generation + 1}"
        log = self.log.about(experiment.name)
        log.line(f"cycle {self._state.cycle}, {what} begins")
        self._empty = -1
        self._running.begin(job, grant)
        self._keep()

    def _take(self, ended: EndedTurn) -> None:
        """Take in what became of a turn."""
        entry = self.in_force.file.named(ended.name)
        progress = self._state.of(ended.name, entry.digest if entry else "").after(
            ended.report,
            seconds=max(0.0, ended.seconds - ended.report.held_s),
            now=self.clock(),
            cycle=self._state.cycle,
            backoff_s=self.in_force.file.backoff_s,
        )
        every = {**self._state.progress, ended.name: progress}
        self._state = replace(self._state, progress=every)
        self._keep()
        self.log.about(ended.name).line(ended_in_words(ended.report, progress))

    def _sleep(self) -> None:
        """Pause between two cycles; after some in which nothing ran, for longer and longer."""
        pause_s = self.options.sleep_s
        if self._empty >= 0:
            pause_s = max(
                pause_s, min(LONGEST_PAUSE_S, SHORTEST_PAUSE_S * 2 ** min(self._empty, 10))
            )
        until = self.steady() + pause_s
        while not (self.is_stopping or self.is_reloading) and self.steady() < until:
            self.pause(until - self.steady())

    def _ending(self, experiment: Experiment) -> str:
        return self._state.of(experiment.name, experiment.digest).ending

    def _elapsed_s(self) -> float:
        return self.steady() - self._began

    def _is_over(self) -> bool:
        cycle_s = self.in_force.file.cycle_s
        return cycle_s is not None and self._elapsed_s() >= cycle_s

    def _keep(self) -> None:
        """Write the state, and the page that shows it."""
        self._state = replace(self._state, running=self._running.names)
        file, now = self.in_force.file, self.clock()
        rows = standings(file, self._state, self.options, now=now, is_alive=True)
        page = status_page(rows, self._state.cycle, is_alive=True)

        def write() -> None:
            self._state.write(self.options.state_file)
            write_atomic(self.options.page_file, page)

        self._write(write)

    def _write(self, write: Callable[[], None]) -> None:
        """Write a file; a disk that is full for a while ends no runner."""
        try:
            self.options.logdir.mkdir(parents=True, exist_ok=True)
            write()
        except OSError as error:
            why = f"{self.options.logdir} cannot be written ({error.strerror})"
            if why != self._unwritten:
                self.log.line(f"{why}; it is tried again at every turn")
            self._unwritten = why
