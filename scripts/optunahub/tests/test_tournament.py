"""These tests check the sampler as the registry loads it.

It keeps Optuna's contract, measures nothing twice by accident, and recommends.
"""

from collections.abc import Callable
from pathlib import Path

import optuna
import optunahub
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

REGISTRY = Path(__file__).resolve().parents[3]
module = optunahub.load_local_module(package="samplers/tournament", registry_root=str(REGISTRY))


class TestContract(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """These tests check what Optuna demands of every sampler."""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: module.TournamentSampler(seed=0)


def table(trial: optuna.Trial) -> float:
    return (trial.suggest_int("x", 1, 5) - 2) ** 2 + trial.suggest_int("y", 1, 3)


@pytest.mark.parametrize("seed", range(5))
def test_a_space_of_15_is_measured_in_15_trials(seed: int) -> None:
    study = optuna.create_study(sampler=module.TournamentSampler(seed=seed))
    study.optimize(table, n_trials=100, callbacks=[module.stop_when_exhausted])
    assert (
        len({tuple(sorted(trial.params.items())) for trial in study.trials})
        == len(study.trials)
        == 15
    )


def test_the_best_is_recommended() -> None:
    study = optuna.create_study(sampler=module.TournamentSampler(seed=0))
    study.optimize(table, n_trials=15)
    assert module.recommend(study).params == {"x": 2, "y": 1}
