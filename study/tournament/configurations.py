"""This module lists, draws, inherits and compares the configurations of a search space.

Nothing here knows of a study, and of a trial only its parameters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial

from .axes import Signature, contains, coordinate, draw, levels, move, nearest, signature, value_at

Config = dict[str, Any]
Axes = Mapping[str, BaseDistribution]


class Archive:
    """An archive holds what was tried; one with fewer names stands for all that agree on those.

    >>> {"x": 0.30000000000000004, "y": 7} in Archive([{"x": 0.3}])
    True

    Args:
        configs: What was tried, by parameter.
    """

    def __init__(self, configs: Iterable[Mapping[str, Any]] = ()) -> None:
        self._by_names: dict[tuple[str, ...], set[Signature]] = defaultdict(set)
        for config in configs:
            self.add(signature(config))

    def add(self, key: Signature) -> None:
        if key:  # a trial that has asked for nothing yet stands for nothing
            self._by_names[tuple(name for name, _ in key)].add(key)

    def __contains__(self, config: Mapping[str, Any]) -> bool:
        return self.holds(signature(config))

    def holds(self, key: Signature) -> bool:
        """Tell whether the configuration with this signature was tried."""
        own = dict(key)
        return any(
            key in keys
            if len(names) == len(key) and names == tuple(own)
            else own.keys() >= set(names) and tuple((name, own[name]) for name in names) in keys
            for names, keys in self._by_names.items()
        )


def all_configurations(space: Axes) -> Iterator[Config]:
    """Yield every configuration of a finite space.

    >>> from optuna.distributions import IntDistribution
    >>> list(all_configurations({"x": IntDistribution(1, 3), "y": CategoricalDistribution("a")}))
    [{'x': 1, 'y': 'a'}, {'x': 2, 'y': 'a'}, {'x': 3, 'y': 'a'}]
    """
    return (_nth(space, index) for index in range(int(size(space))))


def untried(space: Axes, archive: Archive | Iterable[Mapping[str, Any]]) -> Iterator[Config] | None:
    """Yield the configurations of a finite space that were not tried; None for an infinite one.

    >>> from optuna.distributions import IntDistribution
    >>> list(untried({"x": IntDistribution(1, 3)}, [{"x": 2}]))
    [{'x': 1}, {'x': 3}]
    """
    if math.isinf(size(space)):
        return None
    if not isinstance(archive, Archive):
        archive = Archive(archive)
    return (config for config in all_configurations(space) if config not in archive)


def fits(space: Axes, config: Mapping[str, Any]) -> bool:
    """Tell whether each of its values is in the range of its name.

    A conditional configuration need not have all names.
    """
    return all(
        contains(distribution, config[name])
        for name, distribution in space.items()
        if name in config
    )


def size(space: Axes) -> float:
    """Count the configurations; infinite also where they are beyond counting."""
    return math.prod(map(levels, space.values()), start=1.0)


def _nth(space: Axes, index: int) -> Config:
    config = {}
    for name, distribution in space.items():
        index, place = divmod(index, int(levels(distribution)))
        config[name] = value_at(distribution, place)
    return config


def coordinates(space: Axes, configs: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Return configurations as rows of numbers, (n, d).

    A value is the place in its range, 0 to 1; a category's that in its list; a missing one is NaN.

    >>> from optuna.distributions import IntDistribution
    >>> space = {"x": IntDistribution(1, 5), "y": CategoricalDistribution("ab")}
    >>> coordinates(space, [{"x": 2, "y": "b"}]).tolist()
    [[0.25, 1.0]]
    """
    rows = np.empty((len(configs), len(space)))
    for column, (name, distribution) in enumerate(space.items()):
        at = coordinate(distribution)
        rows[:, column] = [at(config[name]) if name in config else math.nan for config in configs]
    return rows


def pinned(config: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    """Return the space that has this configuration only."""
    return {name: CategoricalDistribution([value]) for name, value in config.items()}


def heirs(family: Sequence[FrozenTrial], space: Axes, rng: np.random.Generator) -> Iterator[Config]:
    """Take each parameter from the first of the family that has it, or else draw it; for ever."""
    lent = {}
    for name, distribution in space.items():
        if lender := next((trial for trial in family if name in trial.params), None):
            lent[name] = nearest(distribution, lender.params[name])
    while True:
        yield {n: lent[n] if n in lent else draw(axis, rng) for n, axis in space.items()}


def children(
    family: Sequence[FrozenTrial], space: Axes, rng: np.random.Generator
) -> Iterator[Config]:
    """Inherit and change one parameter for certain, every other one rarely; for ever."""
    free = [name for name, distribution in space.items() if levels(distribution) > 1]
    for config in heirs(family, space, rng):
        certain = free[rng.integers(len(free))] if free else None
        for name in free:
            if name == certain or rng.random() < 0.5 / len(free):
                config[name] = move(space[name], config[name], rng)
        yield config
