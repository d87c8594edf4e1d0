"""A study's cost is its launches with their wall time by phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

from objectives.allocation import Allocation, is_of_speech
from objectives.engines.llm_server import LlmServer
from objectives.measurement import Measurement
from objectives.servers.phase_times import STOPPING, TimedPhase
from objectives.traffic.workload import Workload
from study.analysis.cost.phases import LOADS, UNATTRIBUTED


@dataclass(frozen=True, slots=True)
class TimedLaunch:
    """A timed launch is an evaluation that launched servers, rather than took a known result.

    Args:
        allocation: What was launched.
        measurement: What it measured; None where it failed.
        wall_s: Its wall time.
        phase_s: Seconds by phase.
        started: The phases whose servers were started rather than kept.
    """

    allocation: Allocation
    measurement: Measurement | None
    wall_s: float
    phase_s: Mapping[TimedPhase, float]
    started: frozenset[TimedPhase]

    def sum_s(self, *phases: TimedPhase) -> float:
        """Return the seconds of some phases together."""
        return sum(self.phase_s.get(p, 0.0) for p in phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """A cost is that of the launches of one study or recording, and the wall time of its runs.

    Args:
        name: Of the study, or the recording's file.
        trials: How many trials there are, also those that took a known result.
        launches: The trials that launched servers.
        restarts: Whether servers were restarted for every trial.
        runs_s: Seconds from the begin of each run to its last server's end; None where some run
            was killed before it could note them.
        measured_elsewhere: Where a replay's times come from.
        identity: The conditions that two studies must share to be compared.
        workload: The load of the launches.
        apis: The API of each service, in the order of their starts.
        llm: What served the LLM; None where that is not known.
    """

    name: str
    trials: int
    launches: tuple[TimedLaunch, ...]
    restarts: bool
    runs_s: float | None
    measured_elsewhere: str | None
    identity: Mapping[str, Any]
    workload: Workload
    apis: Mapping[str, str]
    llm: LlmServer | None

    @property
    def measurements(self) -> list[tuple[Allocation, Measurement]]:
        """Return the launches that worked, as `study.analysis.cost.interference` takes them."""
        return [(x.allocation, x.measurement) for x in self.launches if x.measurement is not None]

    @property
    def starts(self) -> tuple[TimedPhase, ...]:
        """Return the phases in which its servers start, in order."""
        return tuple(map(TimedPhase.start, self.apis))

    @property
    def last_start(self) -> TimedPhase:
        """Return the phase in which the server starts that asks for a share."""
        return self.starts[-1]

    @property
    def wall_s(self) -> float:
        """Return the wall time of the runs; where it is not known, that of the trials."""
        return self.runs_s if self.runs_s is not None else sum(x.wall_s for x in self.launches)

    @property
    def is_split(self) -> bool:
        """Return whether every launch has its time split by phase."""
        return not any(UNATTRIBUTED in x.phase_s for x in self.launches)

    def sum_s(self, *phases: TimedPhase) -> float:
        """Return the seconds of some phases, over all launches."""
        return sum(x.sum_s(*phases) for x in self.launches)

    def starters(self, phase: TimedPhase) -> list[TimedLaunch]:
        """Return the launches that started this server rather than keep it."""
        return [x for x in self.launches if phase in x.started]

    def start_s(self, phase: TimedPhase) -> float:
        """Return the mean seconds of a start, failed ones too; 0 where there was none."""
        return fmean([x.sum_s(phase) for x in self.starters(phase)] or [0.0])

    @property
    def commands(self) -> int:
        """Count the distinct commands of the server with a share that were launched."""
        return len({_command_values(x.allocation) for x in self.starters(self.last_start)})

    @property
    def whole_s(self) -> float | None:
        """Return the median seconds of a launch that was measured whole; None without one."""
        walls_s = [x.wall_s for x in self.launches if x.measurement is not None]
        return median(walls_s) if walls_s else None

    @property
    def ended_early(self) -> list[TimedLaunch]:
        """Return the launches that failed, ran out of memory or were given up on the way."""
        return [x for x in self.launches if x.measurement is None]

    @property
    def shortest_s(self) -> float | None:
        """Return the seconds of one start for each such command and of all windows and ramps.

        None where a recording does not split off the ramps.
        """
        if not self.is_split:
            return None
        return self.commands * self.start_s(self.last_start) + self.sum_s(*LOADS)

    @property
    def restarting_s(self) -> float:
        """Estimate the seconds that restarting for every trial would have taken.

        Each server that was kept would have cost a mean start and a mean stop.
        """
        reused = {
            p: [x for x in self.launches if p not in x.started and x.sum_s(*LOADS)]
            for p in self.starts
        }
        starts_s = sum(len(launches) * self.start_s(phase) for phase, launches in reused.items())
        stop_s = fmean([x.sum_s(STOPPING) for x in self.starters(self.last_start)[1:]] or [0.0])
        stops_s = sum(max(0.0, stop_s - x.sum_s(STOPPING)) for x in reused[self.last_start])
        return self.wall_s + starts_s + stops_s


def _command_values(allocation: Allocation) -> tuple[tuple[str, str], ...]:
    """Return what the command of a server with a share depends on; a recording has no commands."""
    searched = allocation.values.items()
    return tuple(sorted((k, str(v)) for k, v in searched if not is_of_speech(k)))
