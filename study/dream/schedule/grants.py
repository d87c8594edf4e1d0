"""Grants say who may run beside whom: one on a device, on cores apart from what is timed. Pure.

Where an experiment measures a device, the last quarter of the cores is for experiments on the CPU.
A machine with fewer than four cores has none to spare: there they do not run beside it. Several
devices that are measured at once share the other cores equally.
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
class Grant:
    """A grant is what a turn that runs has of the machine.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A split says whose the machine's cores are.

    Args:
        measuring: The cores for experiments that measure a device.
        devices: How many devices may be measured at once; each has an equal share of those.
        on_cpu: The cores for the others.
        is_apart: Whether the two have no core in common; else they do not run beside each other.
    """

    measuring: tuple[int, ...]
    devices: int
    on_cpu: tuple[int, ...]
    is_apart: bool

    @classmethod
    def of(
        cls, demands: Sequence[Demand], most: int, cores: Sequence[int], cpu_pct: float = 100.0
    ) -> Split:
        """Return the split for these experiments.

        Args:
            demands: What they need.
            most: How many of them may run at once.
            cores: The machine's cores.
            cpu_pct: The share of the cores that experiments on the CPU may use, percent.
        """
        devices = {d.device for d in demands if d.device is not None}
        others = any(d.device is None for d in demands)
        is_mixed = bool(devices) and others and most > 1
        count = len(cores) // 4 if is_mixed and len(cores) >= FEWEST_CORES else 0
        first = len(cores) - count
        share = cores[first:] if count else cores[: max(1, int(len(cores) * cpu_pct / 100))]
        side_by_side = min(most, len(devices - {CPU}))
        return cls(
            measuring=tuple(cores[:first]),
            devices=max(1, side_by_side),
            on_cpu=tuple(share),
            is_apart=count > 0,
        )


def grant_for(demand: Demand, running: Sequence[Grant], split: Split) -> Grant | None:
    """Return what a turn would have; None where it has to wait.

    Args:
        demand: What it needs.
        running: What others have.
        split: Whose the cores are.
    """
    measured = [grant for grant in running if grant.device is not None]
    on_cpu = [grant for grant in running if grant.device is None]
    if demand.device is not None:
        devices = [grant.device for grant in measured]
        is_taken = demand.device in devices or CPU in devices or (demand.device == CPU and devices)
        if is_taken or (on_cpu and not split.is_apart):
            return None
        count = len(split.measuring) if demand.device == CPU else _share(split)
        return Grant(demand.device, (_free(split.measuring, measured) or split.measuring)[:count])
    if measured and not split.is_apart:
        return None
    free = _free(split.on_cpu, on_cpu)
    count = min(demand.cpus, len(split.on_cpu))
    return Grant(None, free[:count]) if len(free) >= count else None


def _share(split: Split) -> int:
    return max(1, len(split.measuring) // split.devices)


def _free(cores: Sequence[int], grants: Sequence[Grant]) -> tuple[int, ...]:
    """Return the cores that no grant has."""
    used = {core for grant in grants for core in grant.cores}
    return tuple(core for core in cores if core not in used)
