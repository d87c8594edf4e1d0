"""`Problem` is a search space whose true values are known, with noise.

Noise is common to all samplers: what the k-th measurement of a configuration adds depends on the
problem's seed, the configuration and k, not on who asks or when. So two samplers that look at the
same cell see the same numbers.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from study.tournament.axes import levels, place
from study.tournament.configurations import size
from study.tournament.monotone import Monotone

Coordinates = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth is what a configuration is really worth.

    Args:
        value: Its value, larger is better; NaN where it does not fit.
        deficit: The share of the memory that it lacks, 0 or less where it fits.
    """

    value: float
    deficit: float = 0.0

    @property
    def fits(self) -> bool:
        """Tell whether it can be measured at all."""
        return self.deficit <= 0


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem is a search space with known truth, where larger values are better.

    Args:
        name: The name of the problem.
        seed: The seed that drew it.
        space: Its search space.
        outcome: Returns what a configuration is really worth.
        noise: Returns what the k-th measurement of a configuration adds.
        best: The best true value among the configurations that fit, where regret is 0.
        median: Their median, where regret is 1.
        worst: The worst of them.
        near: The regret up to which a configuration meets the target; 0 is the optimum itself.
        has_memory: Whether configurations exist that do not fit.
        is_silent: Whether what fits names no constraint.
        monotone: Directions of constraints, for a sampler that can be told of them.
    """

    name: str
    seed: int
    space: Mapping[str, BaseDistribution]
    outcome: Callable[[Coordinates], Truth]
    noise: Callable[[Coordinates, int], float]
    best: float
    median: float
    worst: float
    near: float = 0.0
    has_memory: bool = False
    is_silent: bool = False
    monotone: Monotone = field(default_factory=dict)

    @property
    def size(self) -> int | None:
        """Count the configurations; None where there is no end of them."""
        count = size(self.space)
        return None if math.isinf(count) else int(count)

    def key(self, params: Mapping[str, Any]) -> Coordinates:
        """Return the place of a configuration on every axis; on a continuous one its value."""
        return tuple(
            float(params[name]) if math.isinf(levels(axis)) else float(place(axis, params[name]))
            for name, axis in self.space.items()
        )

    def regret(self, key: Coordinates) -> float:
        """Return the regret of a configuration; that of the worst where it does not fit."""
        truth = self.outcome(key)
        return self.regret_of(truth.value if truth.fits else self.worst)

    def regret_of(self, value: float) -> float:
        """Return how far a true value is from the best: 0 at the best, 1 at the median."""
        return (self.best - value) / (self.best - self.median)


def stream(purpose: str, *numbers: int) -> np.random.Generator:
    """Return the random numbers of a purpose.

    No two purposes, and no sampler that draws by [seed, trial], share a stream. The purpose comes
    first, since numpy pads with zeros: [1, 2] and [1, 2, 0] are the same seed.
    """
    return np.random.default_rng([zlib.crc32(purpose.encode()), *numbers])


def repeat_noise(seed: int, repeats: Sequence[float], index: int, k: int) -> float:
    """Return what the k-th measurement adds: a recorded repeat less their mean.

    Each repeat comes once before any comes again.
    """
    turn, position = divmod(k, len(repeats))
    order = stream("repeats", seed, index, turn).permutation(len(repeats))
    return float(repeats[order[position]] - np.mean(repeats))


def tabulated(
    name: str,
    seed: int,
    space: Mapping[str, BaseDistribution],
    values: np.ndarray,
    noise: Callable[[int, int], float],
    *,
    deficits: np.ndarray | None = None,
    target_share: float = 0.0,
) -> Problem:
    """Return the problem of a table.

    Args:
        name: The name of the problem.
        seed: The seed that drew it.
        space: The search space.
        values: One value for each configuration, in the order of the space's axes.
        noise: Returns the noise of the k-th measurement of the configuration with this index.
        deficits: Above 0 where a configuration does not fit; all fit by default.
        target_share: The best share of the table that meets the target, 0 for the optimum alone.
    """
    counts = [int(levels(axis)) for axis in space.values()]
    strides = [math.prod(counts[i + 1 :]) for i in range(len(counts))]
    flat = values.ravel()
    short = np.zeros(flat.size) if deficits is None else deficits.ravel()

    def index(key: Coordinates) -> int:
        return int(sum(at * stride for at, stride in zip(key, strides, strict=True)))

    fitting = flat[short <= 0]
    best, median, worst = float(fitting.max()), float(np.median(fitting)), float(fitting.min())
    target = float(np.quantile(fitting, 1 - target_share)) if target_share else best
    return Problem(
        name=name,
        seed=seed,
        space=space,
        outcome=lambda key: Truth(float(flat[index(key)]), float(short[index(key)])),
        noise=lambda key, k: noise(index(key), k),
        best=best,
        median=median,
        worst=worst,
        near=(best - target) / (best - median),
        has_memory=bool((short > 0).any()),
    )
