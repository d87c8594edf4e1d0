"""`HillClimbing` goes to the best neighbour until there is no better one, then starts elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.sampler_benchmark.problems.problem import stream
from study.sampler_benchmark.rivals.whole_space import WholeSpace
from study.tournament.axes import levels, place, value_at

At = tuple[int, ...]  # the place on every axis
TRIES = 200  # draws of a new start, before a known one will do


class HillClimbing(WholeSpace):
    """This sampler climbs by steepest ascent, with restarts, and measures nothing twice.

    It is what OptunaHub's hill climbing does, which takes whole numbers only, one trial at a time,
    and no seed. A neighbour is one step away on one axis; every other category is one.

    Args:
        seed: It draws the starts, and the order of the neighbours.
        space: What is searched.
    """

    def __init__(self, seed: int, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(space)
        self._rng = stream("hill climbing", seed)
        self._counts = [int(levels(axis)) for axis in space.values()]
        self._here = self._anywhere()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        known = self._known(study, trial, search_space)
        at = self._next(known)
        return {
            name: value_at(axis, i) for (name, axis), i in zip(self._space.items(), at, strict=True)
        }

    def _next(self, known: Mapping[At, float]) -> At:
        while self._here in known:
            around = list(self._neighbours(self._here))
            if fresh := [at for at in around if at not in known]:
                return fresh[self._rng.integers(len(fresh))]
            best = max(around, key=lambda at: known[at], default=self._here)
            if known[best] <= known[self._here]:
                self._here = next(
                    (at for _ in range(TRIES) if (at := self._anywhere()) not in known),
                    self._anywhere(),
                )
                return self._here
            self._here = best
        return self._here

    def _known(
        self, study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]
    ) -> dict[At, float]:
        """Return the worth of what was tried; what does not fit, or is running, has none."""
        sign = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        known = {}
        for other in study.get_trials(deepcopy=False)[: trial.number]:
            at = tuple(place(axis, other.params[name]) for name, axis in space.items())
            value = other.value if other.state == TrialState.COMPLETE else None
            known[at] = -math.inf if value is None else sign * value
        return known

    def _neighbours(self, at: At) -> Iterator[At]:
        for i, (axis, count) in enumerate(zip(self._space.values(), self._counts, strict=True)):
            is_category = isinstance(axis, CategoricalDistribution)
            steps = range(count) if is_category else (at[i] - 1, at[i] + 1)
            yield from (
                (*at[:i], step, *at[i + 1 :])
                for step in steps
                if 0 <= step < count and step != at[i]
            )

    def _anywhere(self) -> At:
        return tuple(int(self._rng.integers(count)) for count in self._counts)
