"""A host is the actor that holds a lane's cards on its machine and runs the lane there."""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

from objectives.devices.cores import numa_nodes
from objectives.devices.device import Device, Identity, Occupant
from objectives.devices.nvidia_gpu import every_gpu, numa_node
from objectives.errors import SetupError
from objectives.plain_data.card_sets import cards_of, set_name
from objectives.servers.versions import Versions
from objectives.setting import Setting
from study.bench.bench import Bench, bench
from study.bench.device_lock import sole_use_of_all
from study.bench.full_device import refuse_full_device
from study.lanes.cards.cores import near_of
from study.lanes.cards.sets import on_cards
from study.lanes.cluster.ray_here import actor_cards
from study.lanes.lock import lane_lock
from study.lanes.process.lane_process import PROGRAM, LaneProcess
from study.spec.memory.on_device import on_device
from study.spec.model import Spec

PACKAGE = "gpu-allocation-study"
LOOK_S = 0.5
VENDORED = "ray/_private"  # what Ray brings for itself alone


@dataclass(frozen=True, slots=True, kw_only=True)
class CardReport:
    """A card report says what a host found of one of its cards.

    Args:
        identity: The card.
        compute: Its compute capability; None where it has none.
        server_env: The environment that makes a server use it.
        free_mib: What is free on it, MiB.
        occupants: Who holds its memory.
    """

    identity: Identity
    compute: float | None
    server_env: dict[str, str]
    free_mib: float
    occupants: tuple[Occupant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReport:
    """A host report says what a host found on its machine.

    Args:
        machine: The name of the machine.
        cards: Its cards, by the names that the spec gives them.
        notes: What a person must know of them, a sentence each.
        setting: What is measured, with models as they lie there.
        versions: The versions of the servers there.
        package: The version of this program there.
        cores: The cores that may be used there.
        nodes: The cores of each NUMA node there.
        near: The NUMA node of the cards; None where it is unknown, or they have several.
        is_guarded: Whether Ray demands a token there.
    """

    machine: str
    cards: dict[str, CardReport]
    notes: tuple[str, ...]
    setting: Setting
    versions: Versions
    package: str
    cores: tuple[int, ...]
    nodes: tuple[tuple[int, ...], ...]
    near: int | None
    is_guarded: bool

    @property
    def uuid(self) -> str:
        """Return the UUIDs of its cards, as `study.lanes.lane.Lane.card` does."""
        return set_name(card.identity.uuid for card in self.cards.values())

    @property
    def free_mib(self) -> tuple[float, ...]:
        """Return what was free on each card, MiB."""
        return tuple(card.free_mib for card in self.cards.values())


class ClusterHost:
    """A host holds the locks of its cards until it ends; refusals cross as sentences.

    Args:
        spec: The spec.
        setting: What is measured, with models as the spec names them.
        folder: Where the driver was started, which its paths are relative to.
    """

    program = PROGRAM

    def __init__(self, spec: Spec, setting: Setting, folder: Path) -> None:
        self.spec, self.setting, self.folder = spec, setting, folder
        self._held, self._process = ExitStack(), threading.Condition()
        self._machine: Bench | None = None
        self._lane: LaneProcess | None = None

    def look(self) -> HostReport | str:
        """Take the cards that Ray gives, and tell of them; return why not where that cannot be."""
        try:
            return self._look()
        except SetupError as error:
            return f"{socket.gethostname()}: {error}"

    def _look(self) -> HostReport:
        raylet = psutil.Process(os.getppid())
        if psutil.Process().nice() > raylet.nice():
            raise SetupError(
                "Ray lets lanes and servers wait for all other programs; set RAY_worker_niceness=0 "
                "for `ray start` there"
            )
        try:
            os.chdir(self.folder)  # this process, and so the lane, runs where the driver does
        except OSError as error:
            raise SetupError(
                f"{self.folder} cannot be entered ({error.strerror}); start the command in a "
                "folder that all machines of the cluster share"
            ) from error
        machine = self.bench(actor_cards())
        self._machine = machine
        card, uuids = machine.device.identity, cards_of(machine.identity.uuid)
        with lane_lock(machine.identity.uuid):
            pass  # the lane of a driver that was killed has ended
        self._held.enter_context(sole_use_of_all(uuids))
        spec = on_device(self.spec, card.total_mib, card.product)
        refuse_full_device(spec.baseline, machine)
        return HostReport(
            machine=socket.gethostname(),
            cards={name: _report_of(device) for name, device in machine.devices.items()},
            notes=tuple(machine.notes),
            setting=machine.setting,
            versions=machine.versions,
            package=version(PACKAGE),
            cores=tuple(sorted(os.sched_getaffinity(0))),
            nodes=tuple(tuple(node) for node in numa_nodes()),
            near=near_of(map(numa_node, uuids)),
            is_guarded=raylet.environ().get("RAY_AUTH_MODE") == "token",
        )

    def bench(self, cards: list[str]) -> Bench:
        """Return the bench of the cards that Ray gives, by index or UUID, in the order of the bus.

        Raises:
            SetupError: As `study.bench.bench.bench`.
        """
        bus = every_gpu()
        uuids = [bus[int(card)] if card.isdigit() else card for card in cards]
        uuids.sort(key=lambda uuid: (bus.index(uuid) if uuid in bus else len(bus), uuid))
        return bench(self.setting, on_cards(self.spec, uuids))

    def free_mib(self) -> tuple[float, ...]:
        """Return what is free on each card now, MiB."""
        assert self._machine is not None  # noqa: S101  it was looked at
        return tuple(device.sample().free_mib for device in self._machine.devices.values())

    def begin(self, log: str) -> None:
        """Start the process of the lane, with the environment that `ray start` had.

        That of this actor has what Ray changed: one thread for OpenMP, cards by their index.
        """
        sys.path[:] = [p for p in sys.path if VENDORED not in p]
        raylet = psutil.Process(os.getppid())
        self._lane = LaneProcess(self.program, Path(log), env=raylet.environ(), driver=raylet.pid)

    def send(self, data: bytes) -> None:
        """Write to the process; one that has ended reads none of it."""
        lane = self._lane
        while data and lane is not None and not lane.has_ended():
            data = data[lane.send(data) :]
            if data:
                threading.Event().wait(0.01)

    def receive(self) -> bytes:
        """Wait for what the process tells, and return it; nothing at its end."""
        lane = self._lane
        while lane is not None and lane is self._lane:
            try:
                select.select([lane.output], [], [], LOOK_S)
                data = lane.receive()
            except (OSError, ValueError):  # it was killed meanwhile
                break
            if data is not None:
                return data
        return b""

    def close(self) -> None:
        """Let the process end in good order."""
        if self._lane is not None:
            self._lane.close()

    def end(self) -> None:
        """End the process now, also where it is stopped."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.kill()

    def last_words(self) -> str:
        """Return how the process ended."""
        return self._lane.last_words() if self._lane is not None else "it was ended"


def _report_of(device: Device) -> CardReport:
    return CardReport(
        identity=device.identity,
        compute=device.compute,
        server_env=dict(device.server_env),
        free_mib=device.sample().free_mib,
        occupants=tuple(device.occupants()),
    )
