"""The lineup holds the servers that run: kept while the next trial needs them, else stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives import waiting
from objectives.devices.device import Device
from objectives.devices.device_set import DeviceSet, first_name
from objectives.devices.telemetry import Occupancy
from objectives.engines.command import Command
from objectives.engines.places import Place
from objectives.errors import ServerDied, StartTimeout
from objectives.figures import flat_name
from objectives.on_demand import sleeping
from objectives.servers.blame import check_neighbours, elsewhere, failed_start
from objectives.servers.process import Server, serving

Ready = Callable[[str, float], bool]  # by the url, within so many seconds
MEMORY_S = 20.0  # until the memory of what ended is back
ON_DEVICE_MIB = 32.0  # a model that answers and holds less on a GPU is not on it


@dataclass(frozen=True, slots=True)
class _Held:
    command: Command
    server: Server
    stack: ExitStack
    place: str
    taken_mib: float
    entitled_mib: float  # what it may grow to under load, but while it sleeps
    asleep_mib: float | None = None  # None until it slept


class Lineup:
    """A lineup holds at most one running server per service, each on its device.

    Args:
        devices: They are at rest now: what is held belongs to tenants and the system.
        reserve_mib: What others may take before it counts as a disturbance, MiB.
    """

    def __init__(self, devices: DeviceSet, reserve_mib: float) -> None:
        self.devices, self.reserve_mib = devices, reserve_mib
        self.free_at_rest_mib = {name: d.sample().free_mib for name, d in devices.items()}
        self._held: dict[str, _Held] = {}

    def runs(self, service: str, command: Command) -> bool:
        """Return whether this very command is running and alive."""
        entry = self._held.get(service)
        return entry is not None and entry.command == command and entry.server.alive

    def name_of(self, place: Place | None) -> str:
        """Return the name of the device of a place; the first one's where there is no place."""
        return place.device if place is not None else first_name(self.devices)

    def device(self, place: Place | None) -> Device:
        """Return the device of a place."""
        return self.devices[self.name_of(place)]

    def server(self, service: str) -> Server:
        """Return the running server of a service."""
        return self._held[service].server

    @property
    def taken_mib(self) -> dict[str, float]:
        """Return the memory that each running server had taken when it was ready, MiB."""
        return {service: entry.taken_mib for service, entry in list(self._held.items())}

    def occupancy(self, tenants_mib: Mapping[str, float]) -> Occupancy:
        """Return who holds the memory of the LLM's device now.

        Args:
            tenants_mib: What each tenant holds there; a server counts by what it had taken when it
                was ready.
        """
        name = first_name(self.devices)
        device = self.devices[name]
        total_mib, free_mib = device.identity.total_mib, device.sample().free_mib
        known_mib = self.free_at_rest_mib[name] + sum(tenants_mib.values())
        own_mib = {
            s: h.taken_mib if h.asleep_mib is None else h.asleep_mib
            for s, h in list(self._held.items())
            if h.place == name
        }
        held_mib = {**tenants_mib, **own_mib}
        return Occupancy(total_mib, free_mib, held_mib, max(0.0, total_mib - known_mib))

    @property
    def started_first(self) -> str | None:
        """Return the service whose running server was started first; None without one."""
        return next(iter(self._held), None)

    def start(
        self,
        service: str,
        api: str,
        command: Command,
        ready: Ready,
        log: Path,
        measured: Mapping[str, Any],
        entitled_mib: float = 0.0,
        place: Place | None = None,
    ) -> dict[str, Any]:
        """Start a server unless this command runs already.

        Args:
            service: The service that it serves.
            api: How it is spoken to.
            command: Its command.
            ready: Whether the server at a url is ready.
            log: The file for its output.
            measured: The figures known by then, which a failure carries.
            entitled_mib: What it may grow to, MiB: vLLM takes back under load what it let go after
                its memory profile.
            place: Where it runs; None for the only device.

        Returns:
            Its `<service>_start_s` and `<service>_memory_mib`.

        Raises:
            OutOfMemory, Disturbed or SetupError: It does not start; its log says why.
        """
        if self.runs(service, command):
            return {
                flat_name(service, "start_s"): 0.0,
                flat_name(service, "memory_mib"): self._held[service].taken_mib,
            }
        name = self.name_of(place)
        device, expected = self.devices[name], self._left_mib(name)
        if self._is_ours_alone(name):
            check_neighbours(device, expected, self.reserve_mib, measured)
        before = device.sample().free_mib
        stack = ExitStack()
        try:
            server = stack.enter_context(serving(service, command, log=log, ready=ready))
        except (ServerDied, StartTimeout) as error:
            free_mib = before, expected - self.reserve_mib
            raise failed_start(error, service, api, measured, free_mib) from error
        own_mib = device.held_mib(server.pid)
        taken = before - device.sample().free_mib if own_mib is None else own_mib
        if device.identity.cuda is not None and taken < ON_DEVICE_MIB:
            stack.close()
            raise elsewhere(service, api, taken, measured)
        entitled = max(taken, entitled_mib)
        self._held[service] = _Held(command, server, stack, name, taken, entitled)
        return {
            flat_name(service, "start_s"): server.start_s,
            flat_name(service, "memory_mib"): taken,
        }

    def put_to_sleep(self, service: str) -> dict[str, Any]:
        """Let a server sleep until it is asked, and wait for its memory; return what it keeps.

        While it sleeps it is entitled to no more than that.
        """
        held = self._held[service]
        device = self.devices[held.place]
        was_awake = (now := sleeping.state(held.server.url)) is not None and now.is_awake
        before = device.sample().free_mib
        sleeping.put_to_sleep(held.server.url)
        if was_awake:
            goal_mib = before + held.taken_mib - self.reserve_mib / 2
            _until_free(device, goal_mib, time.monotonic() + MEMORY_S)
        asleep = held.asleep_mib
        if asleep is None:
            own_mib = device.held_mib(held.server.pid)
            freed = device.sample().free_mib - before
            asleep = max(0.0, held.taken_mib - freed) if own_mib is None else own_mib
        self._held[service] = replace(held, asleep_mib=asleep, entitled_mib=asleep)
        return {flat_name(service, "asleep_mib"): asleep}

    def close(self) -> None:
        """Stop all at once, without waiting for their memory: nothing is measured after it."""
        while self._held:
            self._held.popitem()[1].stack.close()

    def stop_all(self) -> None:
        """Stop every server, the last one started first, and wait for their memory."""
        self.stop(*reversed(self._held))

    def stop(self, *services: str) -> None:
        """Stop servers, then wait up to 20 s until their memory is back.

        The next start proves that it is.
        """
        stopped = [self._held.pop(s) for s in services if s in self._held]
        for entry in stopped:
            entry.stack.close()
        deadline = time.monotonic() + MEMORY_S
        for place in dict.fromkeys(entry.place for entry in stopped):
            if not self._is_ours_alone(place):
                continue
            goal_mib = self._left_mib(place) - self.reserve_mib / 2
            _until_free(self.devices[place], goal_mib, deadline)

    def _is_ours_alone(self, place: str) -> bool:
        """Return whether what runs on other devices takes none of this one's memory.

        The host's own memory beside a GPU is taken by every server.
        """
        return len(self.devices) == 1 or self.devices[place].identity.cuda is not None

    def _left_mib(self, place: str) -> float:
        """Return what should be free on a device beside the running servers, MiB."""
        entitled = (h.entitled_mib for h in self._held.values() if h.place == place)
        return self.free_at_rest_mib[place] - sum(entitled)


def _until_free(device: Device, goal_mib: float, deadline_s: float) -> None:
    """Wait until so much is free on a device, and no longer than to a deadline."""
    while device.sample().free_mib < goal_mib and time.monotonic() < deadline_s:
        waiting.sleep(0.25)
