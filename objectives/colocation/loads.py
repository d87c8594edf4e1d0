"""One launch has these loads: each service alone, turns up a ramp, then all under the trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.capacity.holds import Hold
from objectives.capacity.ramp_figures import KV_FULL, goodput_pct, limits_of
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_replies import write
from objectives.devices.busy_others import CpuTime
from objectives.diagnosis.diagnosis import LATE, Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.engines.engine import Engine
from objectives.errors import Disturbed, GivenUp, SetupError, TrialFailed
from objectives.evaluation import IsWorth, Phase, Step
from objectives.exercise.exercise import Exercise
from objectives.exercise.idle import has_left_work
from objectives.exercise.ready_servers import ReadyServers
from objectives.exercise.turns import hold, ramp
from objectives.exercise.window_figures import window_figures
from objectives.load.open_loop import WindowProgress
from objectives.load.segments import so_far
from objectives.load.turns_under_way import SentTurns
from objectives.measurement import INFINITE, Measurement

Figures = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Loads:
    """Loads are sent to the servers of one launch.

    Args:
        exercise: The traffic.
        servers: The servers.
        limits: What a good turn meets, ms by name.
        folder: The folder for what came back.
        stop_all: It stops every server.
        ramp_range: The range of the study's ramps; None lets the first one that shows a capacity
            find it.
    """

    exercise: Exercise
    servers: ReadyServers
    limits: Mapping[str, float]
    folder: Path
    stop_all: Callable[[], None]
    ramp_range: RampRange | None = None

    def measure(
        self,
        engines: Sequence[Engine],
        allocation: Allocation,
        memory: Callable[[float], Mapping[str, Figures]],
        is_worth: IsWorth,
    ) -> tuple[Figures, Mapping[str, Figures]]:
        """Return the figures of every load, added to those of the starts, and each device's own.

        Among the former are those of the device with the least free memory. The ramp comes before
        the trace, since without the capacity a few seconds of the window rule out hardly any
        allocation.

        Args:
            engines: The engines of the servers.
            allocation: What is launched.
            memory: It returns the memory of each device since a time, by its name.
            is_worth: It says whether the rest is worth its time.

        Raises:
            TrialFailed: A service failed under a load.
            GivenUp: The rest was not worth its time.
        """
        exercise, servers = self.exercise, self.servers
        measured, began = servers.suspects.measured, CpuTime.now()
        for engine in engines:
            measured |= engine.bounds(measured, exercise.workload, allocation)
        hearers = (e for e in engines if e.api == "transcription")
        word_keys = {
            e.name: allocation.words_key(e.name) for e in hearers if not e.is_random(allocation)
        }
        alone = exercise.alone(servers, word_keys)
        words = exercise.word_figures(servers.endpoints, word_keys)
        measured |= self._ramp()
        if not is_worth(Measurement.from_flat(measured | words)):
            raise GivenUp(measured)

        def goes_on(progress: WindowProgress) -> bool:
            devices = [*memory(progress.start_s).values()]
            return is_worth(so_far(measured | words, progress, devices))

        window, figures = exercise.window(servers, goes_on)
        devices = memory(window.started_s)
        window.write(self.folder)
        figures["lag_exceeded"] |= measured.get("lag_exceeded", False)
        measured |= figures | window_figures(window, exercise.ends_s, alone)
        measured["others_cpu_pct"] = round(began.others_pct(CpuTime.now()), 1)
        tightest = min(devices, key=lambda name: devices[name].get("free_memory_mib", INFINITE))
        measured |= devices[tightest]
        self._leave_idle([r.error for r in window.replies], is_drained=window.is_drained)
        if window.is_given_up:
            raise GivenUp(measured)
        turns = ((r.turn, r) for r in window.replies)
        measured["goodput_pct"] = goodput_pct(turns, limits_of(self.limits))
        measured |= words
        return measured, devices

    def hold(self, rate_per_s: float) -> Hold:
        """Send turns at a constant rate.

        Raises:
            TrialFailed: A service failed under it, or our own requests left late.
        """
        self.exercise.alone(self.servers, {})
        source = self.exercise.turns(self.servers, self.limits)
        held, turns, is_late = hold(source, self.servers, rate_per_s)
        self._write("hold", turns)
        self._leave_idle([r.error for r in (*turns.replies, *turns.beside)])
        if is_late:
            why = "our own requests left late, and without that the rate might have been held"
            raise Disturbed(Diagnosis(LATE, None, FailurePhase.LOAD, None, why))
        return held

    def _ramp(self) -> Figures:
        """Return the figures of capacity; the first ramp that shows one fixes the range of all."""
        if self.exercise.workload.ramp_s <= 0:
            return {}
        source = self.exercise.turns(self.servers, self.limits)
        turns, here, figures = ramp(source, self.servers, self.ramp_range)
        if figures["capacity_turns_per_s"]:
            self.ramp_range = here
        self._write("ramp", turns)
        full = {} if turns.kv_full_s is None else {KV_FULL: round(turns.kv_full_s, 3)}
        return figures | {"ramp": here.to_json() | full}

    def _leave_idle(self, errors: Sequence[object | None], *, is_drained: bool = True) -> None:
        """Let what is still in work disturb no later measurement: it is waited for, or ended."""
        is_idle = is_drained
        if is_idle and has_left_work(errors):
            try:
                is_idle = self.exercise.settle(self.servers)
            except (TrialFailed, SetupError):  # what is measured stays so
                is_idle = False
        if not is_idle:
            self.servers.on_phase(Phase(Step.STOPPING))
            self.stop_all()

    def _write(self, name: str, turns: SentTurns) -> None:
        """Write the replies of turns, and those beside them to a file of their own."""
        write(self.folder / f"{name}.jsonl", turns.replies)
        if turns.beside:
            write(self.folder / f"{name}_beside.jsonl", turns.beside)
