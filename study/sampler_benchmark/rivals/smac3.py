"""`Smac` puts SMAC3's random forests behind Optuna's ask and tell."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from study.sampler_benchmark.problems.problem import stream
from study.sampler_benchmark.rivals.whole_space import WholeSpace
from study.tournament.axes import draw, levels, value_at


class Smac(WholeSpace):
    """This sampler is SMAC3's facade for hyperparameters, as it is but for three settings.

    Its forest learns from every trial and not from every eighth, and it takes values for exact, or
    half of its trials would be repeats. Each tree has room for as many leaves as there can be
    trials, not for a million, which it takes a seventh of a second to fetch, and grows in one
    thread: it is the same tree. Once SMAC says that the space is exhausted, it draws.

    Args:
        seed: Its seed.
        space: What is searched.
        budget: How many trials it may propose.
    """

    def __init__(self, seed: int, space: Mapping[str, BaseDistribution], *, budget: int) -> None:
        # an extra, and seconds of imports
        import ConfigSpace  # noqa: PLC0415
        from smac import HyperparameterOptimizationFacade, Scenario  # noqa: PLC0415
        from smac.model.random_forest.random_forest import RandomForest  # noqa: PLC0415
        from smac.runhistory.dataclasses import TrialValue  # noqa: PLC0415

        super().__init__(space)
        places = ConfigSpace.ConfigurationSpace(seed=seed)
        for name, axis in space.items():
            if not np.isfinite(levels(axis)):
                places.add(ConfigSpace.Float(name, (axis.low, axis.high)))  # type: ignore[attr-defined]
                continue
            is_ordered = not isinstance(axis, CategoricalDistribution)
            order = list(range(int(levels(axis))))
            places.add(ConfigSpace.Categorical(name, order, ordered=is_ordered))
        folder = tempfile.mkdtemp(prefix="smac-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        scenario = Scenario(
            places,
            n_trials=budget,
            deterministic=True,
            seed=seed,
            output_directory=Path(folder),
        )
        facade = HyperparameterOptimizationFacade
        self._optimizer = facade(
            scenario,
            _nothing,
            model=RandomForest(
                places,
                log_y=True,
                n_trees=10,
                ratio_features=1.0,
                min_samples_split=2,
                min_samples_leaf=1,
                max_leaf_nodes=max(budget, 2),
                n_jobs=1,
                seed=seed,
            ),
            config_selector=facade.get_config_selector(scenario, retrain_after=1),
            logging_level=False,
            overwrite=True,
        )
        self._value_of = TrialValue
        self._rng = stream("smac", seed)
        self._infos: dict[int, Any] = {}

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        from smac.main.exceptions import ConfigurationSpaceExhaustedException  # noqa: PLC0415

        try:
            info = self._infos[trial.number] = self._optimizer.ask()
        except (StopIteration, ConfigurationSpaceExhaustedException):
            return {name: draw(axis, self._rng) for name, axis in search_space.items()}
        return {
            name: value_at(axis, int(info.config[name]))
            if np.isfinite(levels(axis))
            else float(info.config[name])
            for name, axis in search_space.items()
        }

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        info = self._infos.pop(trial.number, None)
        if info is None or state != TrialState.COMPLETE or values is None:
            return
        loss = -values[0] if study.direction == StudyDirection.MAXIMIZE else values[0]
        self._optimizer.tell(info, self._value_of(cost=loss), save=False)


def _nothing(config: Any, seed: int = 0) -> float:  # noqa: ARG001
    """Stand for the target, which SMAC wants to have and never calls."""
    return 0.0
