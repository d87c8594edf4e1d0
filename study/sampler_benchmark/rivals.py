"""This module holds the samplers that Optuna lacks: every configuration in turn, and nevergrad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from objectives.errors import BadInput
from study.sampler_benchmark.problems.problem import stream
from study.tournament.axes import levels, place, value_at


class _WholeSpace(BaseSampler):
    """A sampler that knows its space from the start."""

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self._space = dict(space)

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        return self._space

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        raise BadInput(
            f"{param_name} ({param_distribution}) is not in the space "
            f"that {type(self).__name__} was given"
        )


class Exhaustive(_WholeSpace):
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


class DiscreteOnePlusOne(_WholeSpace):
    """This sampler puts nevergrad's optimizer behind Optuna's ask and tell.

    It minimises, and learns what does not fit as a violation.

    Args:
        seed: The seed of nevergrad's optimizer.
        space: What is searched.
        budget: How many trials it may propose.
        workers: How many of them run at a time.
    """

    def __init__(
        self, seed: int, space: Mapping[str, BaseDistribution], *, budget: int, workers: int
    ) -> None:
        import nevergrad  # noqa: PLC0415  an extra, and 2 s of imports

        super().__init__(space)
        axes = {name: _nevergrad_axis(nevergrad.p, axis) for name, axis in space.items()}
        parametrization = nevergrad.p.Dict(**axes)
        parametrization.random_state = np.random.RandomState(seed)
        kind = nevergrad.optimizers.registry["DiscreteOnePlusOne"]
        self._optimizer = kind(parametrization=parametrization, budget=budget, num_workers=workers)
        self._candidates: dict[int, Any] = {}
        self._worst = 0.0

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        candidate = self._candidates[trial.number] = self._optimizer.ask()
        return {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in candidate.value.items()
        }

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        candidate = self._candidates.pop(trial.number)
        if state == TrialState.COMPLETE and values is not None:
            loss = (
                -values[0] if study.direction == optuna.study.StudyDirection.MAXIMIZE else values[0]
            )
            self._worst = max(self._worst, loss)
            self._optimizer.tell(candidate, loss)
        elif state == TrialState.PRUNED:
            violation = sum(max(0.0, v) for v in trial.constraints.values())
            self._optimizer.tell(candidate, self._worst, constraint_violation=[violation])


def _nevergrad_axis(kinds: Any, axis: BaseDistribution) -> Any:
    """Return nevergrad's axis: a choice, an ordered transition, or a bounded scalar."""
    match axis:
        case CategoricalDistribution(choices=choices):
            return kinds.Choice(list(choices))
        case FloatDistribution(low=low, high=high, step=None):
            return kinds.Scalar(lower=low, upper=high)
        case IntDistribution() | FloatDistribution():
            return kinds.TransitionChoice([value_at(axis, i) for i in range(int(levels(axis)))])
    raise BadInput(f"nevergrad has no axis like {axis}")
