"""A searched parameter knows its values, and how they appear in an Optuna study.

Optuna takes a third of a second to import, which what reads a spec and asks for no trial saves.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from objectives.allocation import Scalar

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Parameter:
    """A parameter is searched over the listed `choices`, or over a range from `low` to `high`.

    Args:
        name: `vllm_memory_util` (a share of the device's memory), `vllm_memory_mib`,
            `whisper_model_size`, `vllm.<flag>` or `whisper.<option>`.
        choices: The listed values; empty for a range.
        low: The lowest value of a range.
        high: The highest value of a range.
        step: The distance between two values of a range; None for a continuous one.
        log: Whether a range is searched on a logarithmic scale.
    """

    name: str
    choices: tuple[Scalar, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    log: bool = False

    @cached_property
    def is_ordinal(self) -> bool:
        """Return whether the list is numeric and so has an order; any other holds categories."""
        return all(isinstance(c, int | float) and not isinstance(c, bool) for c in self.choices)

    @cached_property
    def is_even(self) -> bool:
        """Return whether the list rises in even steps: an axis whose order every sampler sees.

        >>> share, count = Parameter("share", (0.40, 0.45, 0.50)), Parameter("n", (1, 2, 4))
        >>> share.is_even, count.is_even
        (True, False)
        """
        if not self.is_ordinal or len(self.choices) < 2:
            return False
        numbers = [float(c) for c in self.choices]
        gaps = [b - a for a, b in itertools.pairwise(numbers)]
        return gaps[0] > 0 and all(math.isclose(g, gaps[0], rel_tol=1e-6) for g in gaps)

    @property
    def key(self) -> str:
        """Return the name in the Optuna study; an uneven list is searched by position."""
        return (
            f"{self.name}#position"
            if self.choices and self.is_ordinal and not self.is_even
            else self.name
        )

    @cached_property
    def distribution(self) -> BaseDistribution:
        """Return the Optuna distribution, which is the same for every sampler."""
        from optuna.distributions import (  # noqa: PLC0415  see above
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

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
        """Return the listed value that an Optuna value stands for."""
        if not self.choices or not self.is_ordinal:
            return value
        if not self.is_even:
            return self.choices[int(value)]
        return min(self.choices, key=lambda c: abs(float(c) - float(value)))

    def encode(self, value: Scalar) -> Scalar:
        """Return the Optuna value of a listed value.

        Raises:
            ValueError: The value is outside the list or the range.
        """
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
        """Return how many values there are; None for a continuous range."""
        if self.choices:
            return len(self.choices)
        from optuna.distributions import FloatDistribution, IntDistribution  # noqa: PLC0415

        d = self.distribution
        if isinstance(d, IntDistribution):
            return None if d.log else (d.high - d.low) // d.step + 1
        assert isinstance(d, FloatDistribution)  # noqa: S101  ranges are numeric
        return None if d.step is None else round((d.high - d.low) / d.step) + 1

    def values(self) -> tuple[Scalar, ...]:
        """Return every value of a countable parameter, in order.

        Raises:
            ValueError: The parameter is a continuous range.
        """
        if self.choices:
            return self.choices
        if self.size is None:
            raise ValueError(f"{self.name} is a continuous range")
        from optuna.distributions import IntDistribution  # noqa: PLC0415

        d = self.distribution
        if isinstance(d, IntDistribution):
            return tuple(range(d.low, d.high + 1, d.step))
        return tuple(round(self.low + i * (self.step or 0), 12) for i in range(self.size))
