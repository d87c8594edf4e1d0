"""A colocation measures live: all servers on their devices, loaded at once, kept while needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from objectives import waiting
from objectives.allocation import Allocation
from objectives.capacity.holds import Hold
from objectives.capacity.ramp_figures import KV_FULL, goodput_pct, limits_of
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_replies import write
from objectives.devices.busy_others import CpuTime, uses_gpu
from objectives.devices.cores import apart
from objectives.devices.device import Sample
from objectives.devices.device_set import DeviceSet, first_name, first_of
from objectives.devices.telemetry import Occupancy, Watch, memory, used_by_second, watching
from objectives.diagnosis.busy import CPU_PCT
from objectives.diagnosis.diagnosis import LATE, OVERDUE, Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.engines.engine import engines_of
from objectives.errors import Disturbed, GivenUp, Overdue, SetupError, TrialFailed
from objectives.evaluation import Failure, Job, OnPhase, Outcome, Phase, Step
from objectives.exercise.exercise import Exercise
from objectives.exercise.idle import has_left_work
from objectives.exercise.longest import launch_s, longest_hold_s, longest_measurement_s
from objectives.exercise.ready_servers import ReadyServers
from objectives.exercise.turns import hold, ramp
from objectives.exercise.window_figures import window_figures
from objectives.load.drive_turns import SentTurns
from objectives.load.generator import Generator
from objectives.load.open_loop import Progress
from objectives.load.segments import so_far
from objectives.measurement import INFINITE, DeviceFigures, Measurement
from objectives.servers.blame import prechecked
from objectives.servers.earlier_starts import Starts
from objectives.servers.launch import TrialLauncher
from objectives.servers.lineup import Lineup
from objectives.servers.memory_budget import Prediction
from objectives.servers.phase_times import PhaseTimes
from objectives.servers.process import Server
from objectives.servers.retries import retried, undisturbed, wait_until_quiet
from objectives.servers.tenants import Tenant, holding
from objectives.service_figures import arguments_of
from objectives.setting import Setting
from objectives.traffic.clips import read_clips


class Colocation:
    """A colocation measures allocations on a set of devices.

    It is a context manager that holds the tenants' memory and the load generator's process, and
    stops every server at its end.

    Args:
        setting: What is the same for all trials.
        devices: The devices that the servers share.
        folder: The folder for the tenants' logs.
        on_phase: Called as each phase begins.
        ramp_range: The range of the study's ramps; None lets the first measurement find it.
        measurements: The study's measurements so far, for the memory arithmetic.
    """

    def __init__(
        self,
        setting: Setting,
        devices: DeviceSet,
        folder: Path,
        *,
        on_phase: OnPhase = lambda _: None,
        ramp_range: RampRange | None = None,
        measurements: Sequence[tuple[Allocation, Measurement]] = (),
    ) -> None:
        self.setting, self.devices, self.folder = setting, devices, folder
        self.ramp_range = ramp_range
        self.on_phase = on_phase
        self._engines = engines_of(setting.services)
        self._starts = Starts(self._engines, list(measurements))
        self.exercise = Exercise(
            setting.workload,
            read_clips(setting.workload.clips),
            words=read_clips(setting.workload.scored_clips),
        )
        self._may_be_busy = True  # what the last launch, where there was one, does not rule out
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def _open(self) -> None:
        if self.setting.tenants:
            self.on_phase(Phase(Step.TENANTS))
        with ExitStack() as stack:
            cores = stack.enter_context(apart())
            self._generator = stack.enter_context(Generator(cores.generator))
            self._tenants: list[Server] = []
            for name, device in self.devices.items():
                tenants = self._tenants_on(name)
                self._tenants += stack.enter_context(holding(tenants, device, self.folder))
            self._lineup = Lineup(self.devices, self.setting.reserve_mib)
            stack.callback(self._lineup.close)
            self._launcher = TrialLauncher(
                self._engines, self._lineup, self._tenants, self._starts, self.exercise.clips[0]
            )
            self._stack = stack.pop_all()

    def _tenants_on(self, place: str) -> list[Tenant]:
        """Return the tenants of a device."""
        first = first_name(self.devices)
        return [t for t in self.setting.tenants if (t.device or first) == place]

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def learn(self, measurements: Sequence[tuple[Allocation, Measurement]]) -> None:
        """Take what was measured elsewhere on such a device into the memory arithmetic."""
        self._starts.launches += measurements

    def restart(self) -> None:
        """Stop every server, so that the next measurement launches afresh."""
        self._lineup.stop_all()

    def under(self, exercise: Exercise, ramp_range: RampRange | None) -> None:
        """Measure under this traffic from now on; servers that run are kept for it.

        Args:
            exercise: The traffic.
            ramp_range: The range that its first ramp found; None where there was none yet.
        """
        self.setting = replace(self.setting, workload=exercise.workload)
        self.exercise, self.ramp_range = exercise, ramp_range

    def restart_first(self, job: Job) -> Outcome | None:
        """Start the first server anew beside those that run, which no trial does.

        It takes what memory it needs, and in production it may have to come back beside the others.
        Return the outcome of its failure; None where it is ready.
        """
        first = self._engines[0]
        self.on_phase(Phase(Step.STOPPING))
        self._lineup.stop(first.name)
        command = self._launcher.command(first, job)
        try:
            with waiting.within(launch_s(self.setting.services, self.setting.workload)):
                self._launcher.start(first, command, job, self.on_phase, {})
        except Overdue:
            return Outcome.of(self._overdue({}))
        except (TrialFailed, SetupError) as failed:
            return Outcome.of(failed)
        return None

    def occupancy(self) -> Occupancy:
        """Return who holds the memory of the LLM's device; tenants count by what they asked for."""
        total_mib = first_of(self.devices).identity.total_mib
        tenants = self._tenants_on(first_name(self.devices))
        tenants_mib = {t.name: float(t.held_mib(total_mib)) for t in tenants}
        return self._lineup.occupancy(tenants_mib)

    def measure(self, job: Job) -> Outcome:
        """Measure one allocation, launched again as often as its failure's class allows."""
        phases = PhaseTimes(self.on_phase)
        try:
            if job.is_fresh:
                phases(Phase(Step.STOPPING))
                self.restart()
            attempt = partial(self._attempt, job, phases)
            with waiting.within(self.longest_s):
                measurement = retried(attempt, stop_all=self.restart, on_phase=phases)
        except Overdue:
            return Outcome.of(self._overdue({"phase_s": phases.seconds()}))
        except (TrialFailed, GivenUp) as ended:
            ended.measured["phase_s"] = phases.seconds()
            return Outcome.of(ended)
        except SetupError as error:
            return Outcome.of(error)
        return Outcome(replace(measurement, phase_s=phases.seconds()))

    def prepare(self, job: Job) -> None:
        """Start the servers of a job, so that its measurement finds them ready.

        Where they do not start, none is left running: the measurement will say why.
        """
        try:
            with waiting.within(launch_s(self.setting.services, self.setting.workload)):
                self._hold_tenants()
                prediction = self._starts.prediction(job.allocation, self._lineup)
                self._launched(job, self.on_phase, prediction)
        except (TrialFailed, SetupError, Overdue):
            self.restart()

    def hold(self, job: Job, rate_per_s: float) -> Hold | Failure:
        """Send turns at a constant rate to the servers of an allocation; those that run are kept.

        It is made again as often as the class of a failure allows.

        Args:
            job: The allocation, and the folder for its logs and replies.
            rate_per_s: The rate, turns/s.

        Raises:
            SetupError: This machine cannot run it.
        """
        if job.is_fresh:
            self.on_phase(Phase(Step.STOPPING))
            self.restart()

        def once() -> Hold:
            prediction = self._starts.prediction(job.allocation, self._lineup)
            servers = self._launched(job, self.on_phase, prediction)
            self.exercise.alone(servers, {})
            source = self.exercise.turns(servers, self.setting.limits)
            held, turns, is_late = hold(source, servers, rate_per_s)
            _write(job.folder, "hold", turns)
            self._leave_idle(servers, [r.error for r in (*turns.replies, *turns.beside)])
            if is_late:
                why = "our own requests left late, and without that the rate might have been held"
                raise Disturbed(Diagnosis(LATE, None, FailurePhase.LOAD, None, why))
            return held

        def attempt() -> Hold:
            self._hold_tenants()
            self._wait_for_others(self.on_phase)
            return undisturbed(once, self.devices, self.setting.reserve_mib)

        longest_s = longest_hold_s(self.setting.services, self.setting.workload)
        try:
            with waiting.within(longest_s):
                return retried(attempt, stop_all=self.restart, on_phase=self.on_phase)
        except Overdue:
            return Failure.of(self._overdue({}))
        except TrialFailed as failed:
            return Failure.of(failed)

    @property
    def longest_s(self) -> float:
        """Return the longest time that a measurement may take, seconds."""
        exercise = self.exercise
        return longest_measurement_s(self.setting.services, exercise.workload, exercise.words)

    def _overdue(self, measured: Mapping[str, Any]) -> Disturbed:
        """Stop what hangs, and return the failure of a measurement whose time was over."""
        self.on_phase(Phase(Step.STOPPING))
        self.restart()
        why = "it took longer than all its parts together may, and was interrupted"
        return Disturbed(Diagnosis(OVERDUE, None, FailurePhase.LOAD, None, why), measured)

    def _hold_tenants(self) -> None:
        """Start the tenants again where one is dead."""
        if not all(tenant.alive for tenant in self._tenants):
            self._stack.close()
            self._open()

    def _wait_for_others(self, on_phase: OnPhase) -> None:
        """Wait for others that compute, where none were ruled out by the launch before."""
        if self._may_be_busy or uses_gpu(self.devices):
            wait_until_quiet(self.devices, on_phase)
        self._may_be_busy = True

    def _attempt(self, job: Job, phases: PhaseTimes) -> Measurement:
        """Return one measurement of a launch that nobody disturbed; a dead tenant is started again.

        Raises:
            TrialFailed or SetupError: The launch failed.
            GivenUp: The rest of it was not worth its time.
        """
        self._hold_tenants()
        self._wait_for_others(phases)
        once = partial(self._once, job, phases)
        measurement = undisturbed(once, self.devices, self.setting.reserve_mib)
        self._may_be_busy = (measurement.others_cpu_pct or 0.0) >= CPU_PCT
        self._starts.launches.append((job.allocation, measurement))
        return measurement

    def _once(self, job: Job, on_phase: OnPhase) -> Measurement:
        on_phase(Phase(Step.CHECKING))
        prediction = self._starts.prediction(job.allocation, self._lineup)
        if self.setting.precheck and prediction.is_ruled_out:
            raise prechecked(prediction)
        with ExitStack() as stack:
            watches = {n: stack.enter_context(watching(d)) for n, d in self.devices.items()}
            servers = self._launched(job, on_phase, prediction)
            measured, devices = self._load(job, servers, watches)
        by_uuid = {
            self.devices[name].identity.uuid: DeviceFigures(
                **arguments_of(DeviceFigures, figures),
                used_mib_by_s=used_by_second(watches[name].samples, figures["device_total_mib"]),
                taken_mib=self._lineup.spread_mib(name),
            )
            for name, figures in devices.items()
        }
        return replace(Measurement.from_flat(measured), devices=by_uuid)

    def _launched(self, job: Job, on_phase: OnPhase, prediction: Prediction) -> ReadyServers:
        endpoints, suspects = self._launcher.launch(job, on_phase, prediction)
        sleepers = self._launcher.sleepers(job)
        return ReadyServers(self._generator, endpoints, suspects, on_phase, sleepers)

    def _load(
        self, job: Job, servers: ReadyServers, watches: Mapping[str, Watch]
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Return the figures of every load, added to those of the starts, and each device's own.

        Among the former are those of the device with the least free memory.

        Each service is loaded alone, then all by turns up a ramp, then all under the trace. The
        ramp comes first, since without the capacity a few seconds of the window rule out hardly
        any allocation.
        """
        measured, allocation = servers.suspects.measured, job.allocation
        is_worth = job.is_worth or (lambda _: True)
        began = CpuTime.now()
        for engine in self._engines:
            measured |= engine.bounds(measured, self.setting.workload, allocation)
        hearers = (e for e in self._engines if e.api == "transcription")
        heard = {
            e.name: allocation.words_key(e.name) for e in hearers if not e.is_random(allocation)
        }
        alone = self.exercise.alone(servers, heard)
        words = self.exercise.word_figures(servers.endpoints, heard)
        measured |= self._ramp(job, servers)
        if not is_worth(Measurement.from_flat(measured | words)):
            raise GivenUp(measured)

        def goes_on(progress: Progress) -> bool:
            devices = [self._memory(n, w.since(progress.start_s)) for n, w in watches.items()]
            return is_worth(so_far(measured | words, progress, devices))

        window, figures = self.exercise.window(servers, goes_on)
        devices = {n: self._memory(n, w.since(window.started_s)) for n, w in watches.items()}
        window.write(job.folder)
        figures["lag_exceeded"] |= measured.get("lag_exceeded", False)
        measured |= figures | window_figures(window, self.exercise.ends_s, alone)
        measured["others_cpu_pct"] = round(began.others_pct(CpuTime.now()), 1)
        tightest = min(devices, key=lambda name: devices[name].get("free_memory_mib", INFINITE))
        measured |= devices[tightest]
        errors = [r.error for r in window.replies]
        self._leave_idle(servers, errors, is_drained=window.is_drained)
        if window.is_given_up:
            raise GivenUp(measured)
        limits = limits_of(self.setting.limits)
        measured["goodput_pct"] = goodput_pct(((r.turn, r) for r in window.replies), limits)
        measured |= words
        return measured, devices

    def _leave_idle(
        self, servers: ReadyServers, errors: Sequence[object | None], *, is_drained: bool = True
    ) -> None:
        """Let what is still in work disturb no later measurement: it is waited for, or ended."""
        is_idle = is_drained
        if is_idle and has_left_work(errors):
            try:
                is_idle = self.exercise.settle(servers)
            except (TrialFailed, SetupError):  # what is measured stays so
                is_idle = False
        if not is_idle:
            servers.on_phase(Phase(Step.STOPPING))
            self.restart()

    def _memory(self, place: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return the figures of a device over a window, by their names."""
        total_mib = self.devices[place].identity.total_mib
        held_mib = total_mib - self._lineup.free_at_rest_mib[place]
        return {"device_total_mib": total_mib, **memory(samples, total_mib, held_mib=held_mib)}

    def _ramp(self, job: Job, servers: ReadyServers) -> dict[str, Any]:
        """Return the figures of capacity; the first ramp that shows one fixes the range of all."""
        if self.setting.workload.ramp_s <= 0:
            return {}
        source = self.exercise.turns(servers, self.setting.limits)
        turns, here, figures = ramp(source, servers, self.ramp_range)
        if figures["capacity_turns_per_s"]:
            self.ramp_range = here
        _write(job.folder, "ramp", turns)
        full = {} if turns.kv_full_s is None else {KV_FULL: round(turns.kv_full_s, 3)}
        return figures | {"ramp": here.to_json() | full}


def _write(folder: Path, name: str, turns: SentTurns) -> None:
    """Write the replies of turns, and those beside them to a file of their own."""
    write(folder / f"{name}.jsonl", turns.replies)
    if turns.beside:
        write(folder / f"{name}_beside.jsonl", turns.beside)
