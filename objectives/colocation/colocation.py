"""A colocation measures live: all servers on their devices, loaded at once, kept while needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from objectives import waiting
from objectives.allocation import Allocation
from objectives.capacity.holds import Hold
from objectives.capacity.ramp_range import RampRange
from objectives.colocation.live_servers import LiveServers
from objectives.colocation.loads import Loads
from objectives.devices.busy_others import uses_gpu
from objectives.devices.device_set import DeviceSet
from objectives.devices.telemetry import used_by_second, watching
from objectives.diagnosis.busy import CPU_PCT
from objectives.diagnosis.diagnosis import OVERDUE, Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.errors import Disturbed, GivenUp, Overdue, SetupError, TrialFailed
from objectives.evaluation import Failure, Job, OnPhase, Outcome, Phase, Step
from objectives.exercise.exercise import Exercise
from objectives.exercise.longest import launch_s, longest_hold_s, longest_measurement_s
from objectives.exercise.ready_servers import ReadyServers
from objectives.measurement import DeviceFigures, Measurement
from objectives.servers.blame import prechecked
from objectives.servers.phase_times import PhaseTimes
from objectives.servers.retries import retried, undisturbed, wait_until_quiet
from objectives.service_figures import arguments_of
from objectives.setting import Setting
from objectives.traffic.clips import read_clips

T = TypeVar("T")


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

    Attributes:
        servers: All that runs for it.
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
        self.exercise = Exercise(
            setting.workload,
            read_clips(setting.workload.clips),
            words=read_clips(setting.workload.scored_clips),
        )
        self.servers = LiveServers(setting, devices, folder, self.exercise.clips[0], measurements)
        self._may_be_busy = True  # what the last launch, where there was one, does not rule out

    def __enter__(self) -> Self:
        if self.setting.tenants:
            self.on_phase(Phase(Step.TENANTS))
        self.servers.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.servers.close()

    def restart(self) -> None:
        """Stop every server, so that the next measurement launches afresh."""
        self.servers.lineup.stop_all()

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
        self.on_phase(Phase(Step.STOPPING))
        try:
            with waiting.within(launch_s(self.setting.services, self.setting.workload)):
                self.servers.restart_first(job, self.on_phase)
        except Overdue:
            return Outcome.of(self._overdue({}))
        except (TrialFailed, SetupError) as failed:
            return Outcome.of(failed)
        return None

    def measure(self, job: Job) -> Outcome:
        """Measure one allocation, launched again as often as its failure's class allows."""
        phases = PhaseTimes(self.on_phase)
        try:
            once = partial(self._once, job, phases)
            measurement = self._retried(once, self.longest_s, phases, is_fresh=job.is_fresh)
        except Overdue:
            return Outcome.of(self._overdue({"phase_s": phases.seconds()}))
        except (TrialFailed, GivenUp) as ended:
            ended.measured["phase_s"] = phases.seconds()
            return Outcome.of(ended)
        except SetupError as error:
            return Outcome.of(error)
        self._may_be_busy = (measurement.others_cpu_pct or 0.0) >= CPU_PCT
        self.servers.learn([(job.allocation, measurement)])
        return Outcome(replace(measurement, phase_s=phases.seconds()))

    def prepare(self, job: Job) -> None:
        """Start the servers of a job, so that its measurement finds them ready.

        Where they do not start, none is left running: the measurement will say why.
        """
        try:
            with waiting.within(launch_s(self.setting.services, self.setting.workload)):
                self.servers.hold_tenants(self.on_phase)
                prediction = self.servers.prediction(job.allocation)
                self.servers.launch(job, self.on_phase, prediction)
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

        def once() -> Hold:
            prediction = self.servers.prediction(job.allocation)
            servers = self.servers.launch(job, self.on_phase, prediction)
            return self._loads(job, servers).hold(rate_per_s)

        longest_s = longest_hold_s(self.setting.services, self.setting.workload)
        try:
            return self._retried(once, longest_s, self.on_phase, is_fresh=job.is_fresh)
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

    def _retried(
        self, once: Callable[[], T], longest_s: float, on_phase: OnPhase, *, is_fresh: bool
    ) -> T:
        """Return what a launch that nobody disturbed gives, made as often as its failures allow.

        A dead tenant is started again. Others that compute are waited for, where none were ruled
        out by the launch before.

        Raises:
            TrialFailed or SetupError: The last launch failed.
            GivenUp: The rest of it was not worth its time.
            Overdue: All together took longer than they may.
        """

        def attempt() -> T:
            self.servers.hold_tenants(self.on_phase)
            if self._may_be_busy or uses_gpu(self.devices):
                wait_until_quiet(self.devices, on_phase)
            self._may_be_busy = True
            return undisturbed(once, self.devices, self.setting.reserve_mib)

        if is_fresh:
            on_phase(Phase(Step.STOPPING))
            self.restart()
        with waiting.within(longest_s):
            return retried(attempt, stop_all=self.restart, on_phase=on_phase)

    def _once(self, job: Job, on_phase: OnPhase) -> Measurement:
        on_phase(Phase(Step.CHECKING))
        prediction = self.servers.prediction(job.allocation)
        if self.setting.precheck and prediction.is_ruled_out:
            raise prechecked(prediction)
        with ExitStack() as stack:
            watches = {n: stack.enter_context(watching(d)) for n, d in self.devices.items()}

            def memory(since_s: float) -> dict[str, dict[str, Any]]:
                samples = {name: watch.since(since_s) for name, watch in watches.items()}
                return {name: self.servers.memory(name, s) for name, s in samples.items()}

            servers = self.servers.launch(job, on_phase, prediction)
            loads, is_worth = self._loads(job, servers), job.is_worth or (lambda _: True)
            try:
                measured, devices = loads.measure(
                    self.servers.engines, job.allocation, memory, is_worth
                )
            finally:
                self.ramp_range = loads.ramp_range
        by_uuid = {
            self.devices[name].identity.uuid: DeviceFigures(
                **arguments_of(DeviceFigures, figures),
                used_mib_by_s=used_by_second(watches[name].samples, figures["device_total_mib"]),
                taken_mib=self.servers.lineup.spread_mib(name),
            )
            for name, figures in devices.items()
        }
        return replace(Measurement.from_flat(measured), devices=by_uuid)

    def _loads(self, job: Job, servers: ReadyServers) -> Loads:
        return Loads(
            exercise=self.exercise,
            servers=servers,
            limits=self.setting.limits,
            folder=job.folder,
            stop_all=self.restart,
            ramp_range=self.ramp_range,
        )
