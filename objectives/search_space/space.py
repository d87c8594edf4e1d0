"""The search space turns allocations into Optuna's parameters, and those into allocations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from objectives.allocation import (
    MEMORY,
    OF_MEMORY,
    SHARE,
    SPEECH,
    Allocation,
    Scalar,
    share_of,
)
from objectives.search_space.parameter import Parameter

if TYPE_CHECKING:  # see `parameter`
    import optuna
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True, slots=True)
class Idle:
    """A parameter is idle while another one has a value beside which its server ignores it.

    Args:
        beside: The other parameter.
        value: Its value then.
        keeps: What the idle one is said to be, so that all its values are one configuration.
    """

    beside: str
    value: Scalar
    keeps: Scalar


@dataclass(frozen=True, slots=True)
class Space:
    """A space holds the parameters that are searched, and the values of those that are not.

    Args:
        parameters: The searched parameters.
        fixed: The values that every allocation has, by the names of their parameters.
        idle: When a searched parameter does nothing, by its name.
        total_mib: The memory of the device, MiB, by which MiB are a share; None where it is not
            known yet.
    """

    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Scalar]
    idle: Mapping[str, Idle] = field(default_factory=dict)
    total_mib: float | None = None

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the Optuna distributions by Optuna's parameter names."""
        return {p.key: p.distribution for p in self.parameters}

    def allocation(self, values: Mapping[str, Scalar]) -> Allocation:
        """Return the allocation with these values (ours, not Optuna's) of searched parameters."""
        ordered = {SHARE: None, MEMORY: None, SPEECH: None} | dict.fromkeys(
            [*self.fixed, *(p.name for p in self.parameters)]
        )
        both = {**self.fixed, **values}
        both |= {n: i.keeps for n, i in self.idle.items() if self.is_idle(n, both)}
        if MEMORY in both and self.total_mib is not None:
            both[SHARE] = share_of(float(both[MEMORY]), self.total_mib)
        absent = {name for name in OF_MEMORY if name not in both}
        return Allocation({name: both[name] for name in ordered if name not in absent})

    def is_idle(self, name: str, values: Mapping[str, Scalar]) -> bool:
        """Return whether a parameter does nothing beside the values of the others, by name."""
        idle = self.idle.get(name)
        return idle is not None and values.get(idle.beside) is idle.value

    def decode(self, params: Mapping[str, Scalar]) -> Allocation:
        """Return the allocation of a trial's stored parameters."""
        return self.allocation(
            {p.name: p.decode(params[p.key]) for p in self.parameters if p.key in params}
        )

    def encode(self, allocation: Allocation) -> dict[str, Scalar]:
        """Return Optuna's parameters of an allocation, without those that do nothing in it.

        Raises:
            ValueError: The allocation lies outside the space.
        """
        values = allocation.values
        return {
            p.key: p.encode(values[p.name])
            for p in self.parameters
            if not self.is_idle(p.name, values)
        }

    @property
    def size(self) -> int | None:
        """Return the number of configurations; None where a parameter is continuous."""
        sizes = [p.size for p in self.parameters]
        if None in sizes:
            return None
        tied = {*self.idle, *(idle.beside for idle in self.idle.values())}
        free = math.prod(p.size or 1 for p in self.parameters if p.name not in tied)
        return free * sum(
            1 for _ in self._combinations(p for p in self.parameters if p.name in tied)
        )

    def grid(self) -> Iterator[Allocation]:
        """Yield every configuration of a countable space, each once."""
        return map(self.allocation, self._combinations(self.parameters))

    def _combinations(self, parameters: Iterable[Parameter]) -> Iterator[dict[str, Scalar]]:
        """Yield the values of these parameters by name; of what does nothing one value only."""
        several = tuple(parameters)
        for combination in itertools.product(*(p.values() for p in several)):
            values = {p.name: value for p, value in zip(several, combination, strict=True)}
            first = {
                p.name: p.values()[0]
                for p in several
                if self.is_idle(p.name, {**self.fixed, **values})
            }
            if all(values[name] == value for name, value in first.items()):
                yield values


def suggest(trial: optuna.Trial, space: Space) -> Allocation:
    """Suggest every parameter at once, so that a batch of trials is stored whole.

    What does nothing beside the others is not suggested, as Optuna has it for such parameters.
    """
    from optuna.distributions import (  # noqa: PLC0415
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    params: dict[str, Scalar] = {}
    values: dict[str, Scalar] = dict(space.fixed)
    for p in sorted(space.parameters, key=lambda p: p.name in space.idle):
        if space.is_idle(p.name, values):
            continue
        match p.distribution:
            case CategoricalDistribution(choices=choices):
                choice = trial.suggest_categorical(p.key, choices)
                params[p.key] = choice  # type: ignore[assignment]
            case IntDistribution(low=low, high=high, step=step, log=log):
                params[p.key] = trial.suggest_int(p.key, low, high, step=step, log=log)
            case FloatDistribution(low=flow, high=fhigh, step=fstep, log=flog):
                params[p.key] = trial.suggest_float(p.key, flow, fhigh, step=fstep, log=flog)
        values[p.name] = p.decode(params[p.key])
    return space.decode(params)
