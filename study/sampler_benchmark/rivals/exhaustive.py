"""`Exhaustive` tries every configuration in turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from study.sampler_benchmark.problems.problem import stream
from study.sampler_benchmark.rivals.whole_space import WholeSpace
from study.tournament.axes import levels, place, value_at


class Exhaustive(WholeSpace):
    """This sampler proposes every configuration once, then the least measured of those that fit.

    Args:
        seed: It draws the order.
        space: What is searched.
    """

    def __init__(self, seed: int, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(space)
        self._counts = [int(levels(axis)) for axis in space.values()]
        self._order = stream("exhaustive", seed).permutation(int(np.prod(self._counts)))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if trial.number < len(self._order):
            return self._config(trial.number)
        times: Counter[int] = Counter()
        for other in study.get_trials(deepcopy=False)[: trial.number]:
            at = [place(axis, other.params[name]) for name, axis in search_space.items()]
            fits = other.state != TrialState.PRUNED and all(
                v <= 0 for v in other.constraints.values()
            )
            # what does not fit never comes again
            times[int(np.ravel_multi_index(at, self._counts))] += 1 if fits else trial.number
        turns = range(len(self._order))
        return self._config(min(turns, key=lambda turn: (times[int(self._order[turn])], turn)))

    def _config(self, turn: int) -> dict[str, Any]:
        at = np.unravel_index(self._order[turn], self._counts)
        return {
            name: value_at(axis, int(i))
            for (name, axis), i in zip(self._space.items(), at, strict=True)
        }
