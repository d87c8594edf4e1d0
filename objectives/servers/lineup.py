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
from objectives.devices.device_set import DeviceSet, first_name, label
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
    taken_mib: Mapping[str, float]  # by the name of each of its devices
    entitled_mib: Mapping[str, float]  # what it may grow to under load, but while it sleeps
    asleep_mib: Mapping[str, float] | None = None  # None until it slept

    @property
    def most_mib(self) -> float:
        """Return the most that it took of one of its devices, MiB."""
        return max(self.taken_mib.values())


class Lineup:
    """A lineup holds at most one running server per service, each on its device or set of them.

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

    def names_of(self, place: Place | None) -> tuple[str, ...]:
        """Return the names of the devices of a place; the first one's where there is no place."""
        return place.devices if place is not None else (first_name(self.devices),)

    def devices_of(self, place: Place | None) -> list[Device]:
        """Return the devices of a place."""
        return [self.devices[name] for name in self.names_of(place)]

    def server(self, service: str) -> Server:
        """Return the running server of a service."""
        return self._held[service].server

    @property
    def taken_mib(self) -> dict[str, float]:
        """Return the memory that each running server had taken when it was ready, MiB.

        Of one on several devices it is the most on one of them.
        """
        return {service: entry.most_mib for service, entry in list(self._held.items())}

    def spread_mib(self, name: str) -> dict[str, float]:
        """Return what each server that is on several devices took of this one, MiB."""
        spread = {s: h for s, h in list(self._held.items()) if len(h.taken_mib) > 1}
        return {s: h.taken_mib[name] for s, h in spread.items() if name in h.taken_mib}

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
            s: (h.taken_mib if h.asleep_mib is None else h.asleep_mib)[name]
            for s, h in list(self._held.items())
            if name in h.taken_mib
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
        entitled_mib: Mapping[str, float] | None = None,
        place: Place | None = None,
    ) -> dict[str, Any]:
        """Start a server unless this command runs already.

        Args:
            service: The service that it serves.
            api: By which API's symptoms its failures are named.
            command: Its command.
            ready: Whether the server at a url is ready.
            log: The file for its output.
            measured: The figures known by then, which a failure carries.
            entitled_mib: What it may grow to by the name of a device, MiB: vLLM takes back under
                load what it let go after its memory profile.
            place: Where it runs; None for the only device.

        Returns:
            Its `<service>_start_s` and `<service>_memory_mib`.

        Raises:
            OutOfMemory, Disturbed or SetupError: It does not start; its log says why.
        """
        if self.runs(service, command):
            return {
                flat_name(service, "start_s"): 0.0,
                flat_name(service, "memory_mib"): self._held[service].most_mib,
            }
        names = self.names_of(place)
        for name in filter(self._is_ours_alone, names):
            of = label(name, self.devices)
            left_mib = self._left_mib(name)
            check_neighbours(self.devices[name], left_mib, self.reserve_mib, measured, of)
        before = {name: self.devices[name].sample().free_mib for name in names}
        stack = ExitStack()
        try:
            server = stack.enter_context(serving(service, command, log=log, ready=ready))
        except (ServerDied, StartTimeout) as error:
            frees = ((before[n], self._left_mib(n) - self.reserve_mib) for n in names)
            free = min(frees, key=lambda pair: pair[0] - pair[1])
            raise failed_start(error, service, api, measured, free, names) from error
        taken = {name: self._taken_mib(name, server, before[name]) for name in names}
        for name, mib in taken.items():
            if self.devices[name].identity.cuda is not None and mib < ON_DEVICE_MIB:
                stack.close()
                raise elsewhere(service, api, mib, measured, label(name, self.devices))
        entitled = {n: max(mib, (entitled_mib or {}).get(n, 0.0)) for n, mib in taken.items()}
        self._held[service] = _Held(command, server, stack, taken, entitled)
        return {
            flat_name(service, "start_s"): server.start_s,
            flat_name(service, "memory_mib"): max(taken.values()),
        }

    def _taken_mib(self, name: str, server: Server, before_mib: float) -> float:
        """Return what a server holds of a device, of which so much was free before it, MiB."""
        own_mib = self.devices[name].held_mib(server.pid)
        return before_mib - self.devices[name].sample().free_mib if own_mib is None else own_mib

    def put_to_sleep(self, service: str) -> dict[str, Any]:
        """Let a server sleep until it is asked, and wait for its memory; return what it keeps.

        While it sleeps it is entitled to no more than that.
        """
        held = self._held[service]
        was_awake = (now := sleeping.state(held.server.url)) is not None and now.is_awake
        before = {name: self.devices[name].sample().free_mib for name in held.taken_mib}
        sleeping.put_to_sleep(held.server.url)
        deadline_s = time.monotonic() + MEMORY_S
        for name, taken_mib in held.taken_mib.items() if was_awake else ():
            goal_mib = before[name] + taken_mib - self.reserve_mib / 2
            _until_free(self.devices[name], goal_mib, deadline_s)
        asleep = held.asleep_mib
        if asleep is None:
            asleep = {
                name: max(0.0, self._taken_mib(name, held.server, before[name] + taken_mib))
                for name, taken_mib in held.taken_mib.items()
            }
        self._held[service] = replace(held, asleep_mib=asleep, entitled_mib=asleep)
        return {flat_name(service, "asleep_mib"): max(asleep.values())}

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
        for name in dict.fromkeys(name for entry in stopped for name in entry.taken_mib):
            if not self._is_ours_alone(name):
                continue
            goal_mib = self._left_mib(name) - self.reserve_mib / 2
            _until_free(self.devices[name], goal_mib, deadline)

    def _is_ours_alone(self, name: str) -> bool:
        """Return whether what runs on other devices takes none of this one's memory.

        The host's own memory beside a GPU is taken by every server.
        """
        return len(self.devices) == 1 or self.devices[name].identity.cuda is not None

    def _left_mib(self, name: str) -> float:
        """Return what should be free on a device beside the running servers, MiB."""
        entitled = (h.entitled_mib.get(name, 0.0) for h in self._held.values())
        return self.free_at_rest_mib[name] - sum(entitled)


def _until_free(device: Device, goal_mib: float, deadline_s: float) -> None:
    """Wait until so much is free on a device, and no longer than to a deadline."""
    while device.sample().free_mib < goal_mib and time.monotonic() < deadline_s:
        waiting.sleep(0.25)
