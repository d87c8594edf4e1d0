"""Live servers are all that runs for a colocation: tenants, generator, and services under test."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.devices.cores import apart
from objectives.devices.device import Sample
from objectives.devices.device_set import DeviceSet, first_name, first_of
from objectives.devices.telemetry import Occupancy, memory
from objectives.engines.registry import engines_of
from objectives.evaluation import Job, OnPhase, Phase, Step
from objectives.exercise.ready_servers import ReadyServers
from objectives.load.generator import Generator
from objectives.measurement import Measurement
from objectives.servers.earlier_starts import Starts
from objectives.servers.launch import TrialLauncher
from objectives.servers.lineup import Lineup
from objectives.servers.memory_budget import Prediction
from objectives.servers.process import Server
from objectives.servers.tenants import Tenant, holding
from objectives.setting import Setting
from objectives.traffic.clips import Clip


class LiveServers:
    """Live servers run from `open` to `close`.

    Args:
        setting: What is the same for all trials.
        devices: The devices that the servers share.
        folder: The folder for the tenants' logs.
        clip: What a speech server transcribes before it counts as ready.
        measurements: The study's measurements so far, for the memory arithmetic.

    Attributes:
        engines: One a service, in the order of their start.
        starts: What earlier starts have shown.
        lineup: The services' servers that run.
        tenants: The programs that hold memory beside them, by name.
    """

    def __init__(
        self,
        setting: Setting,
        devices: DeviceSet,
        folder: Path,
        clip: Clip,
        measurements: Sequence[tuple[Allocation, Measurement]],
    ) -> None:
        self._setting, self._devices, self._folder, self._clip = setting, devices, folder, clip
        self.engines = engines_of(setting.services)
        self.starts = Starts(self.engines, list(measurements))
        self._stack = ExitStack()

    def open(self) -> None:
        """Start the tenants and the generator.

        Raises:
            SetupError: A device has no room for a tenant.
        """
        with ExitStack() as stack:
            cores = stack.enter_context(apart())
            self._generator = stack.enter_context(Generator(cores.generator))
            self.tenants: dict[str, Server] = {}
            for name, device in self._devices.items():
                tenants = self._tenants_on(name)
                self.tenants |= stack.enter_context(holding(tenants, device, self._folder))
            self.lineup = Lineup(self._devices, self._setting.reserve_mib)
            stack.callback(self.lineup.close)
            self._launcher = TrialLauncher(
                self.engines, self.lineup, self.tenants, self.starts, self._clip
            )
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Stop all of them."""
        self._stack.close()

    def _tenants_on(self, place: str) -> list[Tenant]:
        """Return the tenants of a device."""
        first = first_name(self._devices)
        return [t for t in self._setting.tenants if (t.device or first) == place]

    def hold_tenants(self, on_phase: OnPhase) -> None:
        """Start all again where a tenant is dead."""
        if not all(tenant.alive for tenant in self.tenants.values()):
            self.close()
            on_phase(Phase(Step.TENANTS))
            self.open()

    def learn(self, measurements: Sequence[tuple[Allocation, Measurement]]) -> None:
        """Take what was measured, maybe elsewhere on such devices, into the memory arithmetic."""
        self.starts.launches += measurements

    def occupancy(self) -> Occupancy:
        """Return who holds the memory of the LLM's device; tenants count by what they asked for."""
        total_mib = first_of(self._devices).identity.total_mib
        tenants = self._tenants_on(first_name(self._devices))
        tenants_mib = {t.name: float(t.held_mib(total_mib)) for t in tenants}
        return self.lineup.occupancy(tenants_mib)

    def prediction(self, allocation: Allocation) -> Prediction:
        """Return whether an allocation fits, by the arithmetic of what was measured so far."""
        return self.starts.prediction(allocation, self.lineup)

    def launch(self, job: Job, on_phase: OnPhase, prediction: Prediction) -> ReadyServers:
        """Start every server of a job that does not run.

        Raises:
            OutOfMemory, Disturbed or SetupError: A server does not start; its log says why.
        """
        endpoints, suspects = self._launcher.launch(job, on_phase, prediction)
        sleepers = self._launcher.sleepers(job)
        return ReadyServers(self._generator, endpoints, suspects, on_phase, sleepers)

    def restart_first(self, job: Job, on_phase: OnPhase) -> None:
        """Start the first server anew beside those that run.

        Raises:
            OutOfMemory, Disturbed or SetupError: It does not start; its log says why.
        """
        first = self.engines[0]
        self.lineup.stop(first.name)
        self._launcher.start(first, self._launcher.command(first, job), job, on_phase, {})

    def memory(self, place: str, samples: Sequence[Sample]) -> dict[str, Any]:
        """Return the figures of a device over a window, by their names."""
        total_mib = self._devices[place].identity.total_mib
        held_mib = total_mib - self.lineup.free_at_rest_mib[place]
        return {"device_total_mib": total_mib, **memory(samples, total_mib, held_mib=held_mib)}
