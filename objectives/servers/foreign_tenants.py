"""Foreign tenants win: one that grows or comes ends a trial within seconds, and is named."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from objectives.devices.device import Device, Occupant
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.diagnosis.victim import Victim, VictimKind
from objectives.plain_data.units import MIB
from objectives.servers.process import TENANT
from objectives.servers.supervision.supervisor import MARK

LOOK_S = 1.5
ID_FILE = ".cid"  # ends the name of the file with a container's id
GPU_FILES = ("/dev/nvidia", "/dev/dxg")  # the latter under WSL2
LEAST_MIB = 32.0  # a window of the desktop may come and go; a CUDA context takes more


@dataclass(frozen=True, slots=True)
class Intrusion:
    """An intrusion is a process that came or grew while a trial ran.

    Args:
        occupant: The process.
        grown_mib: By how much all others grew together, MiB.
        is_new: Whether it was not there when the trial began.
    """

    occupant: Occupant
    grown_mib: float
    is_new: bool

    def diagnosis(self, reserve_mib: float) -> Diagnosis:
        """Return the diagnosis of the trial: the neighbour's fault, so that it is retried."""
        who = self.occupant
        what = "came" if self.is_new else f"grew with others by {self.grown_mib:,.0f} MiB"
        unit = f" of {who.unit}" if who.unit else ""
        memory = "" if who.mib is None else f", holds {who.mib:,.0f} MiB"
        evidence = f"process {who.pid}{unit} ({who.command[:80]}) {what} during the trial{memory}"
        evidence += f"; reserve {reserve_mib:g}"
        return Diagnosis(
            "foreign_tenant",
            str(Victim(VictimKind.TENANT, str(who.unit or who.pid))),
            FailurePhase.LOAD,
            self.grown_mib,
            evidence,
        )


def intrusion(
    at_rest: Mapping[int, float | None],
    others: Sequence[Occupant],
    reserve_mib: float,
    *,
    is_gpu: bool,
) -> Intrusion | None:
    """Return what ends a trial: growth of all others beyond the reserve; on a GPU, a new process.

    On the host new processes come and go all the time: there they count by what they hold.

    Args:
        at_rest: What each process held when the trial began, by its id, MiB; None where it was
            not known.
        others: The processes now, without our own.
        reserve_mib: By how much all of them may grow together, MiB.
        is_gpu: Whether the device is a GPU.

    >>> game = Occupant(7, "game", 900.0, None)
    >>> intrusion({7: 800.0}, [game], 512.0, is_gpu=True) is None
    True
    >>> intrusion({}, [game], 512.0, is_gpu=True).is_new
    True
    """
    grown = [(max(0.0, (o.mib or 0.0) - (at_rest.get(o.pid) or 0.0)), o) for o in others]
    total = sum(g for g, _ in grown)
    new = [o for o in others if o.pid not in at_rest and (o.mib is None or o.mib >= LEAST_MIB)]
    if is_gpu and new:
        return Intrusion(max(new, key=lambda o: o.mib or 0.0), total, is_new=True)
    if total > reserve_mib:
        first = max(grown, key=lambda pair: pair[0])[1]
        return Intrusion(first, total, first.pid not in at_rest)
    return None


class Neighbours:
    """The neighbours of one trial are the other processes on its device.

    Attributes:
        at_rest: What each held when the trial began, by its id, MiB.
        intrusion: The first intrusion; None so far.

    Args:
        device: The device that they share with the trial.
        reserve_mib: The memory that must stay free for them, MiB.
    """

    def __init__(self, device: Device, reserve_mib: float) -> None:
        self.device, self.reserve_mib = device, reserve_mib
        self.at_rest = {o.pid: o.mib for o in device.occupants()}
        self.intrusion: Intrusion | None = None

    def look(self) -> None:
        """Check once for an intrusion; our own processes are none."""
        is_gpu = self.device.identity.cuda is not None
        containers = own_containers()
        others = [
            o
            for o in self.device.occupants()
            if not (_is_ours(o.pid) or in_container(o.pid, containers))
            and (not is_gpu or _uses_gpu(o.pid))
        ]
        if self.intrusion is None:
            suspect = intrusion(self.at_rest, others, self.reserve_mib, is_gpu=is_gpu)
            if suspect is not None and not is_gpu:  # what forks share counted for each of them
                others = [replace(o, mib=_own_part_mib(o)) for o in others]
                suspect = intrusion(self.at_rest, others, self.reserve_mib, is_gpu=False)
            self.intrusion = suspect


def _own_part_mib(occupant: Occupant) -> float | None:
    """Return the part of the host's memory that is a process's, MiB.

    What several share is divided among them. That takes long for a large process; of one that may
    not be read, or has ended, it is what was seen.
    """
    try:
        part: int = psutil.Process(occupant.pid).memory_full_info().pss
    except psutil.Error:
        return occupant.mib
    return part / MIB


@contextmanager
def yielding(device: Device, reserve_mib: float) -> Iterator[Neighbours]:
    """Watch the neighbours while the block lasts, and kill our servers at an intrusion.

    Whatever waits for the servers then ends at once.
    """
    neighbours, stop = Neighbours(device, reserve_mib), threading.Event()

    def run() -> None:
        while not stop.wait(LOOK_S if neighbours.intrusion is None else 0.2):
            if neighbours.intrusion is None:
                neighbours.look()
            if neighbours.intrusion is not None:
                end_servers()  # again and again: one may just be starting

    thread = threading.Thread(target=run, name="neighbours", daemon=True)
    thread.start()
    try:
        yield neighbours
    finally:
        stop.set()
        thread.join()


def end_servers() -> None:
    """Kill what our servers' supervisors have started; these see to the rest and end."""
    _each(psutil.Process().children(), _kill_below)


def _kill_below(supervisor: psutil.Process) -> None:
    mark = supervisor.environ().get(MARK)
    if mark is not None and not mark.startswith(TENANT):
        _each(supervisor.children(recursive=True), psutil.Process.kill)


def _each(processes: Sequence[psutil.Process], act: Callable[[psutil.Process], object]) -> None:
    for process in processes:
        try:
            act(process)
        except psutil.Error:
            continue  # it has ended meanwhile


def _is_ours(pid: int) -> bool:
    """Return whether it is this process or one below; supervisors adopt what would leave."""
    try:
        return pid == os.getpid() or os.getpid() in (p.pid for p in psutil.Process(pid).parents())
    except psutil.Error:
        return True  # ended, or a number of another container's, of which nothing can be said


def own_containers() -> list[str]:
    """Return the ids of the containers that our supervisors run: an engine is their parent."""
    ids = []
    for supervisor in psutil.Process().children():
        with suppress(psutil.Error, OSError):
            files = [w for w in supervisor.cmdline() if w.endswith(ID_FILE)]
            ids += [Path(f).read_text("utf-8", errors="replace").strip() for f in files[:1]]
    return [i for i in ids if i.isalnum()]


def in_container(pid: int, containers: Sequence[str]) -> bool:
    """Return whether a process is in one of these containers, by its control group."""
    if not containers:
        return False
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
    except OSError:
        return False
    return any(container in text for container in containers)


def _uses_gpu(pid: int) -> bool:
    """Return whether a process really has the GPU open.

    In a container, NVML may number processes as the host does.
    """
    try:
        return any(
            str(f.readlink()).startswith(GPU_FILES) for f in Path(f"/proc/{pid}/fd").iterdir()
        )
    except PermissionError:
        return True  # another user's: NVML is believed
    except OSError:
        return False
