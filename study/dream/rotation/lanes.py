"""Who may run beside whom: one experiment a device, and cores apart from what is measured. Pure.

Where an experiment measures a device, the last quarter of the cores is for experiments on the CPU.
A machine with fewer than four cores has none to spare: there they do not run beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from study.dream.experiments.model import Experiment, GenericExperiment, OwnExperiment

CPU = "cpu"
FEWEST_CORES = 4


@dataclass(frozen=True, slots=True)
class Demand:
    """A demand is what a turn needs of the machine.

    Args:
        device: The device that it measures; None for one that measures none.
        cpus: The cores that it may use.
    """

    device: str | None
    cpus: int = 1


@dataclass(frozen=True, slots=True)
class Lane:
    """A lane is what a turn that runs has of the machine.

    Args:
        device: The device.
        cores: The cores.
    """

    device: str | None
    cores: tuple[int, ...]


def demand_of(experiment: Experiment) -> Demand:
    """Return what an experiment needs."""
    match experiment:
        case OwnExperiment(device=str(device)):
            return Demand(_device(device))
        case GenericExperiment() as generic if generic.budget.allow_gpu:
            return Demand(_device(generic.device), generic.budget.cpus)
        case GenericExperiment() as generic:
            return Demand(None, generic.budget.cpus)
    return Demand(None)


def _device(name: str) -> str:
    """Return one name of a device; the first GPU has two."""
    name = name.removeprefix("cuda:")
    return "0" if name == "cuda" else name


def lane_for(
    demand: Demand,
    running: Sequence[Lane],
    cores: Sequence[int],
    *,
    is_measured: bool,
    cpu_pct: float = 100.0,
) -> Lane | None:
    """Return what a turn would have; None where it has to wait.

    Args:
        demand: What it needs.
        running: What others have.
        cores: The machine's cores.
        is_measured: Whether experiments that measure a device and others may meet.
        cpu_pct: The share of the cores that experiments on the CPU may use, percent.
    """
    apart = _apart(cores) if is_measured else ()
    devices = [lane.device for lane in running if lane.device is not None]
    on_cpu = [lane for lane in running if lane.device is None]
    if demand.device is not None:
        is_taken = demand.device in devices or CPU in devices or (demand.device == CPU and devices)
        if is_taken or (on_cpu and not apart):
            return None
        return Lane(demand.device, tuple(c for c in cores if c not in apart))
    if devices and not apart:
        return None
    share = apart or tuple(cores[: max(1, int(len(cores) * cpu_pct / 100))])
    used = {core for lane in on_cpu for core in lane.cores}
    free = [core for core in share if core not in used]
    count = min(demand.cpus, len(share))
    return Lane(None, tuple(free[:count])) if len(free) >= count else None


def _apart(cores: Sequence[int]) -> tuple[int, ...]:
    """Return the cores for experiments on the CPU, beside one that measures."""
    count = len(cores) // 4 if len(cores) >= FEWEST_CORES else 0
    return tuple(cores[len(cores) - count :])
