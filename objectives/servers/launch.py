"""The launcher starts a trial's servers: what the trial needs stays, and the rest is stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from objectives.devices.device import VISIBLE
from objectives.devices.device_set import env_of, first_of
from objectives.diagnosis.log import read_log
from objectives.engines.command import Command
from objectives.engines.engine import Engine
from objectives.engines.places import Place, place_of
from objectives.errors import OutOfMemory, TrialFailed
from objectives.evaluation import Job, OnPhase, Phase, Step
from objectives.figures import flat_name
from objectives.fit.fits import Fits
from objectives.load.sending.plan import Endpoints
from objectives.measurement import Measurement
from objectives.on_demand.listener import PAGE
from objectives.on_demand.resident import sleeps
from objectives.servers import memory_budget
from objectives.servers.blame import Suspects
from objectives.servers.earlier_starts import Starts
from objectives.servers.lineup import Lineup
from objectives.servers.process import Server
from objectives.traffic.clips import Clip

Commands = Mapping[str, Command]


@dataclass(frozen=True, slots=True)
class TrialLauncher:
    """A launcher starts one allocation after another, by what earlier starts have shown.

    Args:
        engines: One a service, in the order of their start: what takes the memory it needs comes
            before what asks for a share of it.
        lineup: The servers that run.
        tenants: The programs that hold memory beside them, by name.
        starts: What earlier starts have shown.
        clip: What a speech server transcribes before it counts as ready.
    """

    engines: Sequence[Engine]
    lineup: Lineup
    tenants: Mapping[str, Server]
    starts: Starts
    clip: Clip

    def launch(
        self, job: Job, on_phase: OnPhase, prediction: memory_budget.Prediction
    ) -> tuple[Endpoints, Suspects]:
        """Start every server that does not run; what the starts showed is what the suspects know.

        Raises:
            OutOfMemory, Disturbed or SetupError: A server does not start; its log says why.
        """
        commands = {e.name: self.command(e, job) for e in self.engines}
        total_mib = first_of(self.lineup.devices).identity.total_mib
        measured: dict[str, Any] = {"device_total_mib": total_mib}
        sleepers = self.sleepers(job)
        for name in sleepers:
            if self.lineup.runs(name, commands[name]):
                self.lineup.put_to_sleep(name)
        measured |= self._make_room(job, on_phase, commands, prediction)
        for engine in self.engines:
            command = commands[engine.name]
            measured |= self.start(engine, command, job, on_phase, measured) | measured
            measured["started_first"] = self.lineup.started_first
            measured |= self._figures(engine, command, measured)
            if engine.name in sleepers:
                measured |= self.lineup.put_to_sleep(engine.name)
        servers = {e.name: self.lineup.server(e.name) for e in self.engines}
        endpoints = {e.name: e.endpoint(servers[e.name].url) for e in self.engines}
        for name in sleepers:
            if (path := endpoints[name].metrics_path) is not None:
                endpoints[name] = replace(endpoints[name], metrics_path=PAGE + path)
        apis = {e.name: e.symptoms for e in self.engines}
        devices = {e.name: self.lineup.names_of(self._place(e, job)) for e in self.engines}
        return endpoints, Suspects(servers, apis, self.tenants, measured, devices)

    def sleepers(self, job: Job) -> list[str]:
        """Return the services that sleep until they are asked."""
        return [e.name for e in self.engines if sleeps(e.name, e.service, job.allocation)]

    def command(self, engine: Engine, job: Job) -> Command:
        """Return the command of an engine on its devices."""
        devices = self.lineup.devices_of(self._place(engine, job))
        return engine.command(job.allocation, env_of(devices))

    def start(
        self,
        engine: Engine,
        command: Command,
        job: Job,
        on_phase: OnPhase,
        measured: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Start a server, unless this command runs already; return its start and its memory.

        One that compiled, or failed for want of memory while it did, is started once more: in
        production it has compiled, and then its memory profile leaves it a larger KV cache.

        Raises:
            OutOfMemory, Disturbed or SetupError: It does not start; its log says why.
        """
        place = self._place(engine, job)
        entitled_mib = dict[str, float]()
        for device in self.lineup.names_of(place) if engine.has_share else ():
            total_mib = self.lineup.devices[device].identity.total_mib
            # kernels are loaded under load, so that it grows beyond its share
            margin_mib = memory_budget.MARGIN * total_mib
            share_mib = memory_budget.share_mib(job.allocation, total_mib)
            entitled_mib[device] = share_mib + margin_mib
        ready = partial(engine.is_ready, clip=self.clip)
        name, log = engine.name, job.folder / f"{engine.name}.log"
        kind = engine.symptoms
        begin = partial(
            self.lineup.start, name, kind, command, ready, log, measured, entitled_mib, place
        )
        if self.lineup.runs(name, command):
            return begin()
        on_phase(Phase(Step.STARTING, name))
        try:
            started = begin()
        except OutOfMemory:
            if not self._compiled(engine, log):
                raise
        else:
            if not self._compiled(engine, log):
                return started
            self.lineup.stop(name)
        on_phase(Phase(Step.STARTING, name))
        started = begin()
        self.starts.always_compile = self._compiled(engine, log)
        return started

    def _compiled(self, engine: Engine, log: Path) -> bool:
        """Return whether a start compiled, where the next one need not."""
        if not engine.compiling or self.starts.always_compile:
            return False
        return engine.compiling in read_log(log)

    def _place(self, engine: Engine, job: Job) -> Place | None:
        """Return where an engine runs."""
        return place_of(engine.name, engine.service, job.allocation)

    def _make_room(
        self, job: Job, on_phase: OnPhase, commands: Commands, prediction: memory_budget.Prediction
    ) -> dict[str, Any]:
        """Stop what this trial does not need; return what the starts showed that this took.

        A server with a share is kept while one before it is swapped only where the figures are sure
        that a start in order would fit too; what was never measured is started beside it, for its
        memory.
        """
        lineup = self.lineup
        on_phase(Phase(Step.STOPPING))
        changing = [e for e in self.engines if not lineup.runs(e.name, commands[e.name])]
        lineup.stop(*(e.name for e in reversed(changing)))
        swapped = [e for e in changing if not e.has_share]
        stable = [e for e in self.engines if e not in changing and e.has_share]
        if not swapped or not stable or prediction.is_sure:
            return {}
        if prediction.fits is Fits.UNKNOWN:
            with suppress(TrialFailed):  # beside the others this says nothing of a start in order
                started: dict[str, Any] = {}
                for engine in swapped:
                    command = commands[engine.name]
                    started |= self.start(engine, command, job, on_phase, {})
                beside = Measurement.from_flat(started)
                if self.starts.prediction(job.allocation, lineup, beside).is_sure:
                    return started
        on_phase(Phase(Step.STOPPING))
        lineup.stop_all()
        return {}

    def _figures(
        self, engine: Engine, command: Command, measured: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return what an engine tells of itself, by flat name.

        Raises:
            Disturbed: An earlier start of this command had a KV cache of another size.
        """
        server, accounts = self.lineup.server(engine.name), self.starts.accounts
        if engine.name not in accounts or accounts[engine.name][0] is not server:
            accounts[engine.name] = server, engine.figures(server.url, server.log_text())
        figures = accounts[engine.name][1]
        if (tokens := figures.get("kv_tokens")) is not None:
            seen = command.env.get(VISIBLE, "")
            # cards of another set may be of another size
            key = f"{command} on {seen}" if "," in seen else str(command)
            self.starts.compare(key, tokens, measured)
        return {flat_name(engine.name, name): value for name, value in figures.items()}
