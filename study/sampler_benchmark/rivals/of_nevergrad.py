"""`Nevergrad` puts an optimizer of nevergrad behind Optuna's ask and tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from objectives.errors import BadInput
from study.sampler_benchmark.rivals.whole_space import WholeSpace
from study.tournament.axes import levels, value_at


class Nevergrad(WholeSpace):
    """This sampler puts one of nevergrad's optimizers behind Optuna's ask and tell.

    It minimises, and learns what does not fit as a violation.

    Args:
        kind: The name of the optimizer in nevergrad's registry.
        seed: Its seed.
        space: What is searched.
        budget: How many trials it may propose.
        workers: How many of them run at a time.
    """

    def __init__(
        self,
        kind: str,
        seed: int,
        space: Mapping[str, BaseDistribution],
        *,
        budget: int,
        workers: int,
    ) -> None:
        import nevergrad  # noqa: PLC0415  an extra, and 2 s of imports

        super().__init__(space)
        axes = {name: _nevergrad_axis(nevergrad.p, axis) for name, axis in space.items()}
        parametrization = nevergrad.p.Dict(**axes)
        parametrization.random_state = np.random.RandomState(seed)
        self._optimizer = nevergrad.optimizers.registry[kind](
            parametrization=parametrization, budget=budget, num_workers=workers
        )
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
            loss = -values[0] if study.direction == StudyDirection.MAXIMIZE else values[0]
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
