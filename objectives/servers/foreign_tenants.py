"""Tenants win: whoever grows or comes while a trial runs ends it within seconds, and is named."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from objectives.devices.device import Device, Occupant
from objectives.diagnosis.diagnose import Diagnosis
from objectives.servers.process import MARK

LOOK_S = 1.5
LEAST_MIB = 32.0  # a window of the desktop may come and go; a CUDA context takes more


@dataclass(frozen=True, slots=True)
class Intrusion:
    """Who came or grew, and by how much all others grew together, MiB; is_new: not there when the trial began."""

    occupant: Occupant
    grown_mib: float
    is_new: bool

    def diagnosis(self, reserve_mib: float) -> Diagnosis:
        """The trial's failure: nobody's fault but the neighbour's, so it is retried."""
        who = self.occupant
        what = "came" if self.is_new else f"grew with others by {self.grown_mib:,.0f} MiB"
        unit = f" of {who.unit}" if who.unit else ""
        held = "" if who.mib is None else f", holds {who.mib:,.0f} MiB"
        evidence = f"process {who.pid}{unit} ({who.command[:80]}) {what} during the trial{held}"
        evidence += f"; reserve {reserve_mib:g}"
        return Diagnosis(
            "foreign_tenant", f"tenant:{who.unit or who.pid}", "load", self.grown_mib, evidence
        )


def intrusion(
    at_rest: Mapping[int, float | None],
    others: Sequence[Occupant],
    reserve_mib: float,
    *,
    is_gpu: bool,
) -> Intrusion | None:
    """What of the others' memory ends a trial: growth of all together beyond the reserve; on a GPU, also a new process.

    On the host new processes come and go all the time: there they count by what they hold.

    >>> game = Occupant(7, "game", 900.0, None)
    >>> intrusion({7: 800.0}, [game], 512.0, is_gpu=True) is None, intrusion({}, [game], 512.0, is_gpu=True).is_new
    (True, True)
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
    """The watch of one trial; `seen` is the first intrusion."""

    def __init__(self, device: Device, reserve_mib: float) -> None:
        self.device, self.reserve_mib = device, reserve_mib
        self.at_rest = {o.pid: o.mib for o in device.occupants()}
        self.seen: Intrusion | None = None

    def look(self) -> None:
        """Look once; what is our own is nobody's intrusion."""
        is_gpu = self.device.identity.cuda is not None
        others = [
            o
            for o in self.device.occupants()
            if not _is_ours(o.pid) and (not is_gpu or _uses_gpu(o.pid))
        ]
        self.seen = self.seen or intrusion(self.at_rest, others, self.reserve_mib, is_gpu=is_gpu)


@contextmanager
def yielding(device: Device, reserve_mib: float) -> Iterator[Neighbours]:
    """Watch while the block lasts; at an intrusion our servers are killed at once: whatever waits for them ends."""
    neighbours, stop = Neighbours(device, reserve_mib), threading.Event()

    def run() -> None:
        while not stop.wait(LOOK_S if neighbours.seen is None else 0.2):
            if neighbours.seen is None:
                neighbours.look()
            if neighbours.seen is not None:
                end_servers()  # again and again: one may just be starting

    thread = threading.Thread(target=run, name="neighbours", daemon=True)
    thread.start()
    try:
        yield neighbours
    finally:
        stop.set()
        thread.join()


def end_servers() -> None:
    """Kill what our two servers' supervisors have started; the supervisors see to the rest and end."""
    _each(psutil.Process().children(), _kill_below)


def _kill_below(supervisor: psutil.Process) -> None:
    if supervisor.environ().get(MARK, "").startswith(("llm-", "stt-")):
        _each(supervisor.children(recursive=True), psutil.Process.kill)


def _each(processes: Sequence[psutil.Process], act: Callable[[psutil.Process], object]) -> None:
    for process in processes:
        try:
            act(process)
        except psutil.Error:
            continue  # it has ended meanwhile


def _is_ours(pid: int) -> bool:
    """This process, or one below it; supervisors adopt what would leave."""
    try:
        return pid == os.getpid() or os.getpid() in (p.pid for p in psutil.Process(pid).parents())
    except psutil.Error:
        return True  # ended, or a number of another container's, of which nothing can be said


def _uses_gpu(pid: int) -> bool:
    """Whether a process really has the GPU open: in a container, NVML may number processes as the host does."""
    try:
        return any(
            str(f.readlink()).startswith("/dev/nvidia") for f in Path(f"/proc/{pid}/fd").iterdir()
        )
    except PermissionError:
        return True  # another user's: NVML is believed
    except OSError:
        return False
