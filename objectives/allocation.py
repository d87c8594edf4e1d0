"""What is searched: parameters, the space they span, one allocation in it, and the bounds that keep it safe."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Scalar = bool | int | float | str

SHARE = "vllm_memory_util"
SPEECH = "whisper_model_size"
DEFAULT_BOUNDS: Mapping[str, tuple[float, float]] = {SHARE: (0.30, 0.70)}


@dataclass(frozen=True)
class Parameter:
    """One searched value: either the listed `choices`, or a range from `low` to `high`.

    name: `vllm_memory_util` (share of device memory), `whisper_model_size`, `vllm.<flag>` or `whisper.<option>`
    """

    name: str
    choices: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False

    @cached_property
    def is_ordinal(self) -> bool:
        """Numeric lists have an order; anything else is a set of categories."""
        return all(isinstance(c, int | float) and not isinstance(c, bool) for c in self.choices)

    @cached_property
    def is_even(self) -> bool:
        """An evenly spaced, rising list is an axis with a step, so that every sampler sees its order.

        >>> Parameter("vllm_memory_util", (0.40, 0.45, 0.50)).is_even, Parameter("n", (1, 2, 4)).is_even
        (True, False)
        """
        if not self.is_ordinal or len(self.choices) < 2:
            return False
        numbers = [float(c) for c in self.choices]
        gaps = [b - a for a, b in itertools.pairwise(numbers)]
        return gaps[0] > 0 and all(math.isclose(g, gaps[0], rel_tol=1e-6) for g in gaps)

    @property
    def key(self) -> str:
        """The name in the Optuna study: an unevenly spaced list is searched by its position."""
        return (
            f"{self.name}#position"
            if self.choices and self.is_ordinal and not self.is_even
            else self.name
        )

    @cached_property
    def distribution(self) -> BaseDistribution:
        """The Optuna distribution, the same for every sampler."""
        if not self.choices:
            whole = all(float(x).is_integer() for x in (self.low, self.high, self.step or 1))
            if whole and not isinstance(self.low, float) and not isinstance(self.high, float):
                return IntDistribution(
                    int(self.low), int(self.high), log=self.log, step=int(self.step or 1)
                )
            return FloatDistribution(self.low, self.high, log=self.log, step=self.step)
        if not self.is_ordinal:
            return CategoricalDistribution(self.choices)
        if not self.is_even:
            return IntDistribution(0, len(self.choices) - 1)
        first, second, last = self.choices[0], self.choices[1], self.choices[-1]
        if all(isinstance(c, int) for c in self.choices):
            return IntDistribution(int(first), int(last), step=int(second) - int(first))
        gap = round((float(last) - float(first)) / (len(self.choices) - 1), 12)
        return FloatDistribution(float(first), float(last), step=gap)

    def decode(self, value: Scalar) -> Scalar:
        """The listed value that an Optuna value stands for."""
        if not self.choices:
            return value
        if not self.is_ordinal:
            return value
        if not self.is_even:
            return self.choices[int(value)]
        return min(self.choices, key=lambda c: abs(float(c) - float(value)))

    def encode(self, value: Scalar) -> Scalar:
        """The Optuna value of a listed value; ValueError when it is not in the list or range."""
        if not self.choices:
            if isinstance(value, str) or not self.low <= value <= self.high:
                raise ValueError(f"{self.name}={value} is outside {self.low:g} to {self.high:g}")
            if self.size is None:
                return value
            for step in self.values():
                if math.isclose(float(step), float(value), rel_tol=1e-9):
                    return step
            raise ValueError(
                f"{self.name}={value} is between two steps of {self.step or 1:g} from {self.low:g}"
            )
        if self.is_ordinal and not isinstance(value, str):
            for position, choice in enumerate(self.choices):
                if math.isclose(float(choice), float(value), rel_tol=1e-9):
                    return choice if self.is_even else position
        elif value in self.choices:
            return value
        raise ValueError(f"{self.name}={value} is not one of {list(self.choices)}")

    @cached_property
    def size(self) -> int | None:
        """How many values there are; None for a continuous range."""
        if self.choices:
            return len(self.choices)
        d = self.distribution
        if isinstance(d, IntDistribution):
            return None if d.log else (d.high - d.low) // d.step + 1
        assert isinstance(d, FloatDistribution)  # noqa: S101  narrows the type for mypy; ranges are numeric
        return None if d.step is None else round((d.high - d.low) / d.step) + 1

    def values(self) -> tuple[Scalar, ...]:
        """Every value of a countable parameter, in order."""
        if self.choices:
            return self.choices
        if self.size is None:
            raise ValueError(f"{self.name} is a continuous range")
        d = self.distribution
        if isinstance(d, IntDistribution):
            return tuple(range(d.low, d.high + 1, d.step))
        return tuple(round(self.low + i * (self.step or 0), 12) for i in range(self.size))


@dataclass(frozen=True, slots=True)
class Allocation:
    """One division of the device: a value for each parameter, the two classic ones always among them.

    >>> a = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base", "vllm.max_num_seqs": 64})
    >>> a.share, a.speech, a.options("vllm.")
    (0.5, 'base', {'max_num_seqs': 64})
    >>> str(a)
    'vllm_memory_util=0.5 whisper_model_size=base vllm.max_num_seqs=64'
    """

    values: Mapping[str, Scalar]

    @property
    def share(self) -> float:
        """Share of the device's memory given to the LLM server, 0-1."""
        return float(self.values[SHARE])

    @property
    def speech(self) -> str:
        """Size of the speech model."""
        return str(self.values[SPEECH])

    def options(self, prefix: str) -> dict[str, Scalar]:
        """Server options below `prefix`, without it."""
        return {k.removeprefix(prefix): v for k, v in self.values.items() if k.startswith(prefix)}

    def __str__(self) -> str:
        """The same for equal allocations, in whatever order a file holds their values."""
        ordered = sorted(
            self.values.items(), key=lambda kv: (kv[0] != SHARE, kv[0] != SPEECH, kv[0])
        )
        return " ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in ordered)

    def __hash__(self) -> int:
        return hash(frozenset(self.values.items()))


@dataclass(frozen=True, slots=True)
class Space:
    """The parameters that are searched, and the values of those that are not."""

    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Scalar]

    def distributions(self) -> dict[str, BaseDistribution]:
        """Optuna's view of the space, by Optuna's parameter names."""
        return {p.key: p.distribution for p in self.parameters}

    def allocation(self, values: Mapping[str, Scalar]) -> Allocation:
        """The allocation with these values (ours, not Optuna's) for the searched parameters."""
        ordered = {SHARE: None, SPEECH: None} | dict.fromkeys(
            [*self.fixed, *(p.name for p in self.parameters)]
        )
        known = {**self.fixed, **values}
        return Allocation({name: known[name] for name in ordered})

    def decode(self, params: Mapping[str, Scalar]) -> Allocation:
        """The allocation of a trial's stored parameters."""
        return self.allocation(
            {p.name: p.decode(params[p.key]) for p in self.parameters if p.key in params}
        )

    def encode(self, allocation: Allocation) -> dict[str, Scalar]:
        """Optuna's parameters of an allocation; ValueError where it lies outside the space."""
        return {p.key: p.encode(allocation.values[p.name]) for p in self.parameters}

    @property
    def size(self) -> int | None:
        """Number of configurations; None when a parameter is continuous."""
        sizes = [p.size for p in self.parameters]
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    def grid(self) -> Iterator[Allocation]:
        """Every configuration of a countable space."""
        for combination in itertools.product(*(p.values() for p in self.parameters)):
            yield self.allocation(
                dict(zip((p.name for p in self.parameters), combination, strict=True))
            )


def suggest(trial: optuna.Trial, space: Space) -> Allocation:
    """Ask for every parameter at once, so that a batch of asked trials is stored whole."""
    params: dict[str, Scalar] = {}
    for p in space.parameters:
        match p.distribution:
            case CategoricalDistribution(choices=choices):
                params[p.key] = trial.suggest_categorical(p.key, choices)  # type: ignore[assignment]
            case IntDistribution(low=low, high=high, step=step, log=log):
                params[p.key] = trial.suggest_int(p.key, low, high, step=step, log=log)
            case FloatDistribution(low=flow, high=fhigh, step=fstep, log=flog):
                params[p.key] = trial.suggest_float(p.key, flow, fhigh, step=fstep, log=flog)
    return space.decode(params)
