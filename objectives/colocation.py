"""A colocation measures live: all servers on one device, loaded at once, kept while needed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from objectives.allocation import Allocation
from objectives.devices.device import Device
from objectives.devices.telemetry import Occupancy, Watch, memory, used_by_second, watching
from objectives.engines.engine import engines_of
from objectives.errors import TrialFailed
from objectives.evaluation import Failure, Job, OnPhase, Outcome, Phase, Step
from objectives.exercise import Exercise, window_figures
from objectives.load.client import Endpoints
from objectives.measurement import Measurement
from objectives.servers.blame import Suspects, prechecked
from objectives.servers.earlier_starts import Starts
from objectives.servers.launch import Launcher
from objectives.servers.lineup import Lineup
from objectives.servers.memory_budget import speech_key
from objectives.servers.phase_times import PhaseTimes
from objectives.servers.process import Server
from objectives.servers.retries import retried, undisturbed
from objectives.servers.tenants import holding
from objectives.setting import Anchor, Setting, anchored
from objectives.traffic.clips import read_clips


class Colocation:
    """A colocation measures allocations on one device.

    It is a context manager that holds the tenants' memory, and stops every server at its end.

    Args:
        setting: What is the same for all trials.
        device: The device that the servers share.
        folder: The folder for the tenants' logs.
        on_phase: Called as each phase begins.
        anchor: The SLO and first rung; None lets the first measurement fix them.
        measurements: The study's measurements so far, for the memory arithmetic.
    """

    def __init__(
        self,
        setting: Setting,
        device: Device,
        folder: Path,
        *,
        on_phase: OnPhase = lambda _: None,
        anchor: Anchor | None = None,
        measurements: Sequence[tuple[Allocation, Measurement]] = (),
    ) -> None:
        self.setting, self.device, self.folder, self.anchor = setting, device, folder, anchor
        self.on_phase = on_phase
        self._engines = engines_of(setting.services)
        self._starts = Starts(self._engines, list(measurements))
        self._exercise = Exercise(setting.workload, read_clips(setting.workload.clips))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def _open(self) -> None:
        with ExitStack() as stack:
            self._tenants: list[Server] = stack.enter_context(
                holding(self.setting.tenants, self.device, self.folder)
            )
            self._lineup = Lineup(self.device, self.setting.reserve_mib)
            stack.callback(self._lineup.close)
            self._launcher = Launcher(
                self._engines, self._lineup, self._tenants, self._starts, self._exercise.clips[0]
            )
            self._stack = stack.pop_all()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def restart(self) -> None:
        """Stop every server, so that the next measurement launches afresh."""
        self._lineup.stop_all()

    def under(self, exercise: Exercise, anchor: Anchor | None) -> None:
        """Measure under this traffic from now on; servers that run are kept for it.

        Args:
            exercise: The traffic.
            anchor: What the first measurement under it fixed; None where there was none yet.
        """
        self.setting = replace(self.setting, workload=exercise.workload)
        self._exercise, self.anchor = exercise, anchor

    def restart_first(self, job: Job) -> Failure | None:
        """Start the first server anew beside those that run, which no trial does.

        It takes what memory it needs, and in production it may have to come back beside the others.
        Return why it failed; None where it is ready.

        Raises:
            SetupError: The machine cannot run it.
        """
        first = self._engines[0]
        self.on_phase(Phase(Step.STOPPING))
        self._lineup.stop(first.name)
        command = first.command(job.allocation, self.device.server_env)
        try:
            self._launcher.start(first, command, job, self.on_phase, {})
        except TrialFailed as failed:
            return Outcome.of(failed).failure
        return None

    def occupancy(self) -> Occupancy:
        """Return who holds the device's memory now.

        Tenants count by what they asked for, servers by what they had taken when ready.
        """
        total_mib = self.device.identity.total_mib
        tenants = {t.name: float(t.held_mib(total_mib)) for t in self.setting.tenants}
        others_mib = max(0.0, total_mib - self._lineup.free_at_rest_mib - sum(tenants.values()))
        return Occupancy(
            total_mib, self.device.sample().free_mib, tenants | self._lineup.taken_mib, others_mib
        )

    def measure(self, job: Job) -> Outcome:
        """Measure one allocation, launched again as often as its failure's class allows.

        Raises:
            SetupError: The machine cannot run it.
        """
        phases = PhaseTimes(self.on_phase)
        try:
            if job.is_fresh:
                phases(Phase(Step.STOPPING))
                self.restart()
            attempt = partial(self._attempt, job, phases)
            measurement = retried(attempt, stop_all=self.restart, on_phase=phases)
        except TrialFailed as failed:
            failed.measured["phase_s"] = phases.seconds()
            return Outcome.of(failed)
        return Outcome(replace(measurement, phase_s=phases.seconds()))

    def _attempt(self, job: Job, phases: PhaseTimes) -> Measurement:
        """Return one measurement of a launch that nobody disturbed; a dead tenant is started again.

        Raises:
            TrialFailed or SetupError: The launch failed.
        """
        if not all(tenant.alive for tenant in self._tenants):
            self._stack.close()
            self._open()
        once = partial(self._once, job, phases)
        measurement = undisturbed(once, self.device, self.setting.reserve_mib)
        self._starts.launches.append((job.allocation, measurement))
        return measurement

    def _once(self, job: Job, on_phase: OnPhase) -> Measurement:
        on_phase(Phase(Step.CHECKING))
        prediction = self._starts.prediction(job.allocation, self._lineup)
        if self.setting.precheck and prediction.is_ruled_out:
            raise prechecked(prediction)
        with watching(self.device) as watch:
            endpoints, suspects = self._launcher.launch(job, on_phase, prediction)
            measured = self._load(job, on_phase, endpoints, suspects, watch)
        device = self.device.identity
        measured["used_mib_by_s"] = used_by_second(watch.samples, device.total_mib)
        return Measurement.from_flat({**measured, "measured_on": device.uuid})

    def _load(
        self,
        job: Job,
        on_phase: OnPhase,
        endpoints: Endpoints,
        suspects: Suspects,
        watch: Watch,
    ) -> dict[str, Any]:
        """Return the figures of every load, added to those of the starts, by flat name.

        Each service is loaded alone, then all under the trace, then up the ladder.
        """
        measured, allocation = suspects.measured, job.allocation
        for engine in self._engines:
            measured |= engine.bounds(measured, self.setting.workload, allocation)
        speech, is_scored = (
            speech_key(allocation),
            not any(e.is_random(allocation) for e in self._engines),
        )
        alone = self._exercise.alone(endpoints, suspects, on_phase, speech, is_scored=is_scored)
        window = self._exercise.window(endpoints, suspects, on_phase)
        samples = watch.since(window.started_s)
        window.write(job.folder)
        measured |= window_figures(window, alone)
        total_mib = self.device.identity.total_mib
        measured |= memory(samples, total_mib, held_mib=total_mib - self._lineup.free_at_rest_mib)
        measured |= self._ladder(endpoints, suspects, on_phase, measured)
        measured |= self._exercise.word_figures(endpoints, speech)
        return measured

    def _ladder(
        self, endpoints: Endpoints, suspects: Suspects, on_phase: OnPhase, measured: dict[str, Any]
    ) -> dict[str, Any]:
        """Climb the capacity ladder and return its figures.

        The first measurement with finite latencies fixes the SLO for the study.
        """
        is_first = self.anchor is None
        self.anchor = self.anchor or anchored(self.setting, measured, tuple(endpoints))
        if self.anchor is None or self.setting.workload.ladder_s <= 0:
            return {}
        figures = self._exercise.ladder(
            endpoints, suspects, on_phase, self.anchor.slo, self.anchor.first_rung
        )
        if is_first and figures["concurrent_capacity"]:
            self.anchor = replace(self.anchor, first_rung=figures["concurrent_capacity"])
        return figures
