"""Configurations of a search space: which were tried, which are left, how one is drawn or inherited.

Nothing here knows of a study; of a trial, only its parameters.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

Config = dict[str, Any]
Space = Mapping[str, BaseDistribution]
Identity = tuple[tuple[str, str], ...]

ONE_STEP = 0.7  # how often an ordinal goes to its neighbour rather than anywhere
FINE = 32  # with more values than this, "one step" is a tenth of the range, normally distributed


class Archive:
    """Configurations that were tried. One with fewer names stands for all that agree with it on those.

    >>> {"x": 0.30000000000000004, "y": 7} in Archive([{"x": 0.3}])
    True
    """

    def __init__(self, tried: Iterable[Mapping[str, Any]] = ()) -> None:
        self._tried: dict[tuple[str, ...], set[Identity]] = defaultdict(set)
        for config in tried:
            self.add(identity(config))

    def add(self, one: Identity) -> None:
        if one:  # a trial that has asked for nothing yet stands for nothing
            self._tried[tuple(name for name, _ in one)].add(one)

    def __contains__(self, config: Mapping[str, Any]) -> bool:
        own = dict(identity(config))
        return any(
            own.keys() >= set(names) and tuple((name, own[name]) for name in names) in seen
            for names, seen in self._tried.items()
        )


def configurations(space: Space) -> Iterator[Config]:
    """Every configuration of a finite space.

    >>> list(configurations({"x": IntDistribution(1, 3), "y": CategoricalDistribution("a")}))
    [{'x': 1, 'y': 'a'}, {'x': 2, 'y': 'a'}, {'x': 3, 'y': 'a'}]
    """
    return (_nth(space, index) for index in range(int(size(space))))


def untried(space: Space, tried: Archive | Iterable[Mapping[str, Any]]) -> Iterator[Config] | None:
    """What is left of a finite space, one by one; None where there is no end of it.

    >>> list(untried({"x": IntDistribution(1, 3)}, [{"x": 2}]))
    [{'x': 1}, {'x': 3}]
    """
    known = tried if isinstance(tried, Archive) else Archive(tried)
    return (
        None
        if math.isinf(size(space))
        else (config for config in configurations(space) if config not in known)
    )


def fits(space: Space, config: Mapping[str, Any]) -> bool:
    """Whether each of its values is in the range of its name; a conditional one need not have them all."""
    return all(
        _is_in(distribution, config[name]) for name, distribution in space.items() if name in config
    )


def _is_in(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return identity({"": value}) in [identity({"": choice}) for choice in distribution.choices]
    return distribution._contains(distribution.to_internal_repr(value))


def size(space: Space) -> float:
    """How many configurations there are; infinite also where they are beyond counting."""
    return math.prod(map(levels, space.values()), start=1.0)


def _nth(space: Space, index: int) -> Config:
    config = {}
    for name, distribution in space.items():
        index, place = divmod(index, int(levels(distribution)))
        config[name] = _at(distribution, place)
    return config


def levels(distribution: BaseDistribution) -> float:
    """How many values there are.

    >>> levels(FloatDistribution(0.4, 0.6, step=0.05)), levels(FloatDistribution(0.4, 0.6))
    (5, inf)
    """
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    axis = _axis(distribution)
    if axis.single():
        return 1
    return math.inf if axis.step is None else round((axis.high - axis.low) / axis.step) + 1


def coordinates(space: Space, configs: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Configurations as rows of numbers, (n, d): the place in the range, 0 to 1; of a category, its index; else NaN.

    >>> coordinates({"x": IntDistribution(1, 5), "y": CategoricalDistribution("ab")}, [{"x": 2, "y": "b"}]).tolist()
    [[0.25, 1.0]]
    """
    rows = np.full((len(configs), len(space)), np.nan)
    for column, (name, distribution) in enumerate(space.items()):
        for row, config in enumerate(configs):
            if name in config:
                rows[row, column] = _coordinate(distribution, config[name])
    return rows


def _coordinate(distribution: BaseDistribution, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return _place(distribution, value)
    axis = _axis(distribution)
    low, high, value = axis.low, axis.high, _clip(axis, value)
    if axis.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) if high > low else 0.0


def _axis(distribution: BaseDistribution) -> IntDistribution | FloatDistribution:
    if isinstance(distribution, IntDistribution | FloatDistribution):
        return distribution
    raise TypeError(f"{distribution!r} is no distribution that the tournament knows")


def _at(distribution: BaseDistribution, place: int) -> Any:
    """The value at a place, counted from 0.

    >>> _at(FloatDistribution(0.3, 0.7, step=0.05), 3)  # 0.3 + 3 * 0.05 is 0.44999999999999996
    0.45
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[place]
    axis = _axis(distribution)
    step = axis.step or 0
    value = axis.low + place * step
    if isinstance(axis, IntDistribution):
        return min(value, axis.high)  # a place in a huge range is rounded
    return _clip(axis, float(f"{value:.12g}") if abs(value) > 1e-9 * step else 0.0)


def _place(distribution: BaseDistribution, value: Any) -> int:
    """Where a value is, or the one nearest to it."""
    if isinstance(distribution, CategoricalDistribution):
        return int(distribution.to_internal_repr(value)) if value in distribution.choices else 0
    axis = _axis(distribution)
    return round((_clip(axis, value) - axis.low) / (axis.step or 1))


def _nearest(distribution: BaseDistribution, value: Any) -> Any:
    if math.isinf(levels(distribution)):
        return float(_clip(_axis(distribution), value))
    return _at(distribution, _place(distribution, value))


def _clip(axis: IntDistribution | FloatDistribution, value: float) -> float:
    return min(max(value, axis.low), axis.high)


def _draw(distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    axis = _axis(distribution)
    half = (axis.step or 0) / 2  # the two ends are as likely as the others
    if axis.log:
        return _nearest(
            axis, math.exp(rng.uniform(math.log(axis.low - half), math.log(axis.high + half)))
        )
    return _nearest(axis, rng.uniform(axis.low - half, axis.high + half))


def _move(distribution: BaseDistribution, value: Any, rng: np.random.Generator) -> Any:
    """Another value: an ordinal goes one step or anywhere, a category anywhere."""
    count, category = levels(distribution), isinstance(distribution, CategoricalDistribution)
    one_step = not category and rng.random() < ONE_STEP
    if category or count <= FINE:
        here = _place(distribution, value)
        reach = 1 if one_step else count
        there = [place for place in range(int(count)) if 0 < abs(place - here) <= reach]
        return _at(distribution, there[rng.integers(len(there))])
    if not one_step:
        return _draw(distribution, rng)
    axis = _axis(distribution)
    if axis.log:
        return _nearest(axis, value * math.exp(rng.normal(0, 0.1) * math.log(axis.high / axis.low)))
    return _nearest(axis, value + rng.normal(0, 0.1) * (axis.high - axis.low))


def pinned(config: Mapping[str, Any]) -> dict[str, BaseDistribution]:
    return {name: CategoricalDistribution([value]) for name, value in config.items()}


def inherit(family: Sequence[FrozenTrial], space: Space, rng: np.random.Generator) -> Config:
    """Each parameter from the first of the family that has it, or else drawn."""
    config = {}
    for name, distribution in space.items():
        lender = next((trial for trial in family if name in trial.params), None)
        config[name] = (
            _nearest(distribution, lender.params[name]) if lender else _draw(distribution, rng)
        )
    return config


def child(family: Sequence[FrozenTrial], space: Space, rng: np.random.Generator) -> Config:
    """One parameter is changed for certain, every other one rarely."""
    config = inherit(family, space, rng)
    free = [name for name, distribution in space.items() if levels(distribution) > 1]
    certain = free[rng.integers(len(free))] if free else None
    for name in free:
        if name == certain or rng.random() < 0.5 / len(free):
            config[name] = _move(space[name], config[name], rng)
    return config


def identity(config: Mapping[str, Any]) -> Identity:
    """What makes two configurations the same: 0.45 is 0.44999999999999996, and 1 is 1.0, but neither True nor "1"."""
    return tuple(
        (name, f"{v + 0.0:.12g}" if isinstance(v, float) else repr(v))
        for name, v in sorted(config.items())
    )
