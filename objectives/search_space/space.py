"""The search space turns allocations into Optuna's parameters, and those into allocations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from objectives.allocation import SHARE, SPEECH, Allocation, Scalar
from objectives.search_space.parameter import Parameter


@dataclass(frozen=True, slots=True)
class Space:
    """A space holds the parameters that are searched, and the values of those that are not.

    Args:
        parameters: The searched parameters.
        fixed: The values that every allocation has, by the names of their parameters.
    """

    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Scalar]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the Optuna distributions by Optuna's parameter names."""
        return {p.key: p.distribution for p in self.parameters}

    def allocation(self, values: Mapping[str, Scalar]) -> Allocation:
        """Return the allocation with these values (ours, not Optuna's) of searched parameters."""
        ordered = {SHARE: None, SPEECH: None} | dict.fromkeys(
            [*self.fixed, *(p.name for p in self.parameters)]
        )
        both = {**self.fixed, **values}
        return Allocation({name: both[name] for name in ordered})

    def decode(self, params: Mapping[str, Scalar]) -> Allocation:
        """Return the allocation of a trial's stored parameters."""
        return self.allocation(
            {p.name: p.decode(params[p.key]) for p in self.parameters if p.key in params}
        )

    def encode(self, allocation: Allocation) -> dict[str, Scalar]:
        """Return Optuna's parameters of an allocation.

        Raises:
            ValueError: The allocation lies outside the space.
        """
        return {p.key: p.encode(allocation.values[p.name]) for p in self.parameters}

    @property
    def size(self) -> int | None:
        """Return the number of configurations; None where a parameter is continuous."""
        sizes = [p.size for p in self.parameters]
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    def grid(self) -> Iterator[Allocation]:
        """Yield every configuration of a countable space."""
        for combination in itertools.product(*(p.values() for p in self.parameters)):
            yield self.allocation(
                dict(zip((p.name for p in self.parameters), combination, strict=True))
            )


def suggest(trial: optuna.Trial, space: Space) -> Allocation:
    """Suggest every parameter at once, so that a batch of trials is stored whole."""
    params: dict[str, Scalar] = {}
    for p in space.parameters:
        match p.distribution:
            case CategoricalDistribution(choices=choices):
                choice = trial.suggest_categorical(p.key, choices)
                params[p.key] = choice  # type: ignore[assignment]
            case IntDistribution(low=low, high=high, step=step, log=log):
                params[p.key] = trial.suggest_int(p.key, low, high, step=step, log=log)
            case FloatDistribution(low=flow, high=fhigh, step=fstep, log=flog):
                params[p.key] = trial.suggest_float(p.key, flow, fhigh, step=fstep, log=flog)
    return space.decode(params)
