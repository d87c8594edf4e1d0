"""A seat is what Ray keeps for one lane: its cards, whatever becomes of the processes there."""

from __future__ import annotations

import queue
import socket
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from objectives.devices.device import Occupant, Sample
from objectives.devices.device_set import DeviceSet, as_one
from study.lanes.cluster.host import CardReport, ClusterHost, HostReport
from study.lanes.cluster.ray_here import ray
from study.lanes.process.connection import CardGone, LaneConnection

ANSWER_S = 10.0  # a host answers within it, or is given up
THREADS = 5  # of a host: one listens, one writes, and the others answer meanwhile


class Seat:
    """A seat is a placement group of the cards of one lane, on one machine.

    Args:
        place: The placement group.
        count: How many cards it has.
        kind: The class of its hosts.
        arguments: What they are made of.

    Attributes:
        host: The host; None once it was lost.
        request: The last request to the host: for its report, or for what is free.
        report: What its first host reported.
    """

    def __init__(
        self, place: Any, count: int, kind: type[ClusterHost], arguments: tuple[Any, ...]
    ) -> None:
        self._place, self._count, self._kind, self._arguments = place, count, kind, arguments
        self.host: Any = None
        self.request: Any = None
        self.report: HostReport | None = None
        self.take()

    def take(self) -> None:
        """Let a host look at the cards; a lost one is never started again by Ray itself."""
        strategies = import_module("ray.util.scheduling_strategies")
        actor = ray().remote(
            num_gpus=self._count,
            num_cpus=0,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=THREADS,
        )(self._kind)
        there = strategies.PlacementGroupSchedulingStrategy(self._place, 0)
        self.host = actor.options(scheduling_strategy=there).remote(*self._arguments)
        self.request = self.host.look.remote()

    def lose(self) -> None:
        """Give up the host, which may be gone."""
        if self.host is not None:
            with suppress(ray().exceptions.RayError, ValueError):
                ray().kill(self.host)
        self.host = self.request = None

    def free_mib(self) -> tuple[float, ...] | None:
        """Return what is free on each card, MiB; None while nobody knows.

        Raises:
            CardGone: A new host has other cards, or cannot use them.
        """
        if self.host is None:
            self.take()
        elif self.request is None:
            self.request = self.host.free_mib.remote()
        if not ray().wait([self.request], timeout=0)[0]:
            return None
        request, self.request = self.request, None
        try:
            answer: HostReport | str | tuple[float, ...] = ray().get(request)
        except ray().exceptions.RayError:
            self.lose()
            return None
        if isinstance(answer, str):
            raise CardGone(answer)
        if isinstance(answer, tuple):
            return answer
        if self.report is not None and answer.uuid != self.report.uuid:
            raise CardGone(f"Ray has put {answer.uuid} into its place")
        return answer.free_mib


class RemoteCard:
    """A remote card is one in another machine.

    Args:
        report: What its host found of it.
    """

    def __init__(self, report: CardReport) -> None:
        self._report = report
        self.identity, self.compute = report.identity, report.compute
        self.server_env = report.server_env

    def sample(self) -> Sample:
        """Return how it was found: its machine alone watches it."""
        return Sample(0.0, self._report.free_mib)

    def occupants(self) -> list[Occupant]:
        """Return who held its memory when it was found."""
        return list(self._report.occupants)

    def held_mib(self, pid: int) -> float | None:  # noqa: ARG002  a process of this machine
        """Return nothing: no process of this machine holds its memory."""
        return None


class RemoteProcess(LaneConnection):
    """A remote process is a lane's on another machine, which its host speaks to.

    Args:
        seat: The seat of its cards.
        log: The file there for what it prints.
    """

    def __init__(self, seat: Seat, log: Path) -> None:
        super().__init__()
        self._woken, self._waking = socket.socketpair()
        for end in (self._woken, self._waking):
            end.setblocking(False)
        self.output = self._woken
        self._seat, self._host = seat, seat.host
        self._heard: queue.SimpleQueue[bytes | str | None] = queue.SimpleQueue()
        self._has_begun = self._is_over = self._is_closed = False
        self._data, self._why = b"", ""
        self._sending: Any = None
        self._listen(self._host.begin.remote(str(log)))

    def _listen(self, reference: Any) -> None:
        """Hear in a thread of Ray's what the host answers."""

        def hear(future: Any) -> None:
            error = future.exception()
            self._heard.put(future.result() if error is None else type(error).__name__)
            with suppress(OSError):  # it is closed, or full of wakes
                self._waking.send(b"!")

        reference.future().add_done_callback(hear)

    def _look(self) -> None:
        """Take what was heard."""
        with suppress(OSError):
            self._woken.recv(4096)
        while not self._heard.empty() and not self._is_over:
            match self._heard.get():
                case None:
                    self._has_begun = True
                case bytes() as data if data:
                    self._data += data
                case str() as why:
                    self._is_over, self._why = True, f"its machine or its actor is lost ({why})"
                    self._seat.lose()
                case _:
                    self._is_over = True
            if not self._is_over:
                self._listen(self._host.receive.remote())

    def send(self, data: bytes) -> int:
        """Let the host write it, once it has written what came before; return how much that is."""
        if not self._has_begun or self._is_over or self._is_closed:
            return 0
        if self._sending is not None and not ray().wait([self._sending], timeout=0)[0]:
            return 0
        self._sending = self._host.send.remote(data)
        return len(data)

    def receive(self) -> bytes | None:
        """Return what has come, nothing at the end, and None where nothing has come."""
        self._look()
        data, self._data = self._data, b""
        return data or (b"" if self._is_over else None)

    def close(self) -> None:
        """Let the process end in good order."""
        if not self._is_closed and not self._is_over:
            self._host.close.remote()
        self._is_closed = True

    def has_ended(self) -> bool:
        """Return whether it tells nothing any more."""
        self._look()
        return self._is_over

    def kill(self) -> None:
        """End the process; a host that does not answer is ended too, and then what it runs."""
        if not self._is_over or not self._why:
            ended = self._host.end.remote()
            try:
                ray().get(ended, timeout=ANSWER_S)
            except ray().exceptions.RayError:
                self._seat.lose()
        self._is_over = self._is_closed = True
        self._woken.close()
        self._waking.close()

    def last_words(self) -> str:
        """Return how the process ended."""
        if self._why:
            return self._why
        try:
            return str(ray().get(self._host.last_words.remote(), timeout=ANSWER_S))
        except ray().exceptions.RayError as error:
            return f"its host does not answer ({type(error).__name__})"


class OverRay:
    """Lanes over Ray are started by the hosts of their cards.

    Args:
        seats: The seat of each lane, by the UUIDs of its cards.
    """

    def __init__(self, seats: dict[str, Seat]) -> None:
        self._seats = seats

    def start(self, card: str, log: Path) -> RemoteProcess:
        """Start the process of a lane where its cards are."""
        return RemoteProcess(self._seats[card], log)

    def free_mib(self, devices: DeviceSet) -> dict[str, float] | None:
        """Return what is free on the cards of a lane, MiB by name; None while nobody knows.

        Raises:
            CardGone: As `Seat.free_mib`.
        """
        free_mib = self._seats[as_one(devices).uuid].free_mib()
        return None if free_mib is None else dict(zip(devices, free_mib, strict=True))
