"""This module measures live: all servers on one device, loaded at once, kept while they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from objectives.allocation import Allocation
from objectives.devices.device import Device
from objectives.devices.telemetry import Occupancy, Watch, memory, used_by_second, watching
from objectives.diagnosis.diagnose import outcome
from objectives.engines.engine import engines_of
from objectives.errors import Disturbed, OutOfMemory, SetupError, TrialFailed
from objectives.evaluation import Failure, Job, OnPhase, Outcome, Phase, Step
from objectives.exercise import Exercise
from objectives.load.client import Endpoints
from objectives.load.figures_of_replies import interference, services_in, summarise
from objectives.measurement import Measurement
from objectives.servers.blame import Suspects, prechecked
from objectives.servers.earlier_starts import Starts
from objectives.servers.foreign_tenants import yielding
from objectives.servers.launch import Launcher
from objectives.servers.lineup import Lineup
from objectives.servers.memory_budget import speech_key
from objectives.servers.phase_times import PhaseTimes
from objectives.servers.process import Server
from objectives.servers.tenants import holding
from objectives.setting import Anchor, Setting, anchored
from objectives.speech.wer import wer_pct
from objectives.traffic.clips import read_clips


class Colocation:
    """Measures allocations on one device; a context manager that holds the tenants and stops every server.

    anchor: set by the first measurement unless given; known: this study's measurements, for the arithmetic
    """

    def __init__(
        self,
        setting: Setting,
        device: Device,
        folder: Path,
        *,
        on_phase: OnPhase = lambda _: None,
        anchor: Anchor | None = None,
        known: Sequence[tuple[Allocation, Measurement]] = (),
    ) -> None:
        self.setting, self.device, self.folder, self.anchor = setting, device, folder, anchor
        self.on_phase = on_phase
        self._starts = Starts(list(known))
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
            self._engines = engines_of(self.setting.services)
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

        anchor: what the first measurement under it fixed; None where there was none yet
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
        """Who holds the device's memory now: tenants what they asked for, servers what they had taken when ready."""
        total_mib = self.device.identity.total_mib
        tenants = {t.name: float(t.held_mib(total_mib)) for t in self.setting.tenants}
        others_mib = max(0.0, total_mib - self._lineup.free_at_rest_mib - sum(tenants.values()))
        return Occupancy(
            total_mib, self.device.sample().free_mib, tenants | self._lineup.taken_mib, others_mib
        )

    def measure(self, job: Job) -> Outcome:
        """One allocation, launched again as often as its failure's class allows.

        raises: SetupError where the machine cannot run it
        """
        phases = PhaseTimes(self.on_phase)
        try:
            measurement = self._retried(job, phases)
        except TrialFailed as failed:
            failed.measured["phase_s"] = phases.seconds()
            return Outcome.of(failed)
        return Outcome(replace(measurement, phase_s=phases.seconds()))

    def _retried(self, job: Job, phases: PhaseTimes) -> Measurement:
        """One measurement, after as many launches as it takes.

        raises: OutOfMemory where the allocation does not work; Disturbed after the last retry
        """
        attempt = 0
        if job.is_fresh:
            phases(Phase(Step.STOPPING))
            self.restart()
        while True:
            if not all(tenant.alive for tenant in self._tenants):
                self._stack.close()
                self._open()  # a tenant that died is there again for the next launch
            try:
                measurement = self._undisturbed(job, phases)
            except TrialFailed as failed:
                diagnosis = failed.diagnosis
                if diagnosis.phase != "precheck":
                    phases(Phase(Step.STOPPING))
                    self._lineup.stop_all()
                if isinstance(failed, OutOfMemory):
                    raise
                rule = outcome(diagnosis.failure_class)
                if attempt >= rule.retries:
                    if rule.then == "infeasible":
                        raise OutOfMemory(diagnosis, failed.measured) from failed
                    raise
                attempt += 1
                phases(Phase(Step.RETRYING, diagnosis=diagnosis))
            else:
                self._starts.known.append((job.allocation, measurement))
                return measurement

    def _undisturbed(self, job: Job, on_phase: OnPhase) -> Measurement:
        """One launch, given up as soon as another process needs the device's memory."""
        with yielding(self.device, self.setting.reserve_mib) as neighbours:
            try:
                return self._once(job, on_phase)
            except (TrialFailed, SetupError) as failed:
                if neighbours.seen is None:
                    raise
                measured = failed.measured if isinstance(failed, TrialFailed) else {}
                diagnosis = neighbours.seen.diagnosis(self.setting.reserve_mib)
                raise Disturbed(diagnosis, measured) from failed

    def _once(self, job: Job, on_phase: OnPhase) -> Measurement:
        on_phase(Phase(Step.CHECKING))
        verdict = self._starts.verdict(job.allocation, self._lineup)
        if self.setting.precheck and verdict.is_ruled_out:
            raise prechecked(verdict)
        with watching(self.device) as watch:
            endpoints, suspects = self._launcher.launch(job, on_phase, verdict)
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
        """Each service alone, both under the trace, the ladder: added to what their starts showed."""
        measured, allocation = suspects.measured, job.allocation
        for engine in self._engines:
            measured |= engine.bounds(measured, self.setting.workload, allocation)
        random_weights = self.setting.services.stt.random_weights
        speech, is_random = speech_key(allocation), allocation.speech in random_weights
        alone = self._exercise.alone(endpoints, suspects, on_phase, speech, is_scored=not is_random)
        window = self._exercise.window(endpoints, suspects, on_phase)
        samples = watch.since(window.started_s)
        window.write(job.folder)
        measured |= summarise(window.replies)
        measured |= {f"{s}_kv_peak_pct": pct for s, pct in window.kv_peak_pct.items()}
        measured |= {f"{s}_preemptions": count for s, count in window.preemptions.items()}
        measured |= {
            f"{s}_interference": interference(window.replies, alone, s)
            for s in services_in(window.replies)
        }
        total_mib = self.device.identity.total_mib
        measured |= memory(samples, total_mib, held_mib=total_mib - self._lineup.free_at_rest_mib)
        measured |= self._ladder(endpoints, suspects, on_phase, measured)
        words = self._exercise.word_errors.get(speech, ())
        for service, endpoint in endpoints.items():
            if endpoint.api.is_fed_audio:
                measured[f"{service}_word_errors"] = words
                measured[f"{service}_wer_pct"] = wer_pct(words) if words else None
        return measured

    def _ladder(
        self, endpoints: Endpoints, suspects: Suspects, on_phase: OnPhase, measured: dict[str, Any]
    ) -> dict[str, Any]:
        """The capacity ladder; the first measurement with finite latencies fixes the SLO for the study."""
        is_first = self.anchor is None
        self.anchor = self.anchor or anchored(self.setting, measured, tuple(endpoints))
        if self.anchor is None or self.setting.workload.ladder_s <= 0:
            return {}
        found = self._exercise.ladder(
            endpoints, suspects, on_phase, self.anchor.slo, self.anchor.first_rung
        )
        if is_first and found["concurrent_capacity"]:
            self.anchor = replace(self.anchor, first_rung=found["concurrent_capacity"])
        return found
