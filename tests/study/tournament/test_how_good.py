"""These tests hold how soon the tournament finds the best of 15, on few seeds.

Each bound is the mean over 150 other seeds or more plus 3.7 standard errors of a mean of 40: chance
breaks it once in 10,000. An exhaustive order needs 8.0.
"""

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from simulations.attacks import attacked

from study.sampler_benchmark.problems.suites import problem
from study.sampler_benchmark.trial_run import race
from study.tournament import TournamentSampler

SHARE, SIZE = np.linspace(0, 1, 5)[:, None], np.linspace(0, 1, 3)[None]
SPACE = {
    "share": FloatDistribution(0.3, 0.5, step=0.05),
    "size": CategoricalDistribution(["tiny", "base", "small"]),
}
SEEDS = range(40)


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def hill(rng):
    """Return a hill somewhere in the table, and nothing that does not fit."""
    top, side = rng.uniform(-0.1, 1.1, 2)
    values = -rng.uniform(0.5, 2) * (SHARE - top) ** 2 - rng.uniform(0.1, 1) * (SIZE - side) ** 2
    return values, np.full((5, 3), -0.1)


def cliff(rng):
    """Return values that rise with the share until the memory runs out in three to seven cells."""
    need = rng.uniform(0.5, 1.5) * SHARE + rng.uniform(0.3, 1.5) * SIZE
    steps, over = np.sort(need.ravel()), rng.integers(3, 8)
    values = rng.uniform(0.3, 1) * SHARE + rng.uniform(-0.1, 0.5) * SIZE
    return values + 0.02 * rng.random((5, 3)), need - (steps[14 - over] + steps[15 - over]) / 2


def two_walls(rng):
    """Return a cliff, and beside it the lowest share, which leaves too little for a large model."""
    values, short = cliff(rng)
    return values, np.maximum(short, np.where(SHARE < 0.2, 0.2 * SIZE - 0.05, -0.1))


def trials_to_best(table, seed, *, is_silent=False, monotone=None):
    """Return the trial that first measured the best that fits, 41 where none of 40 did."""
    values, short = table(np.random.default_rng([31, seed]))
    fits = short <= 0
    best = values[fits].max()
    sampler = TournamentSampler(seed=seed, monotone=monotone)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for number in range(1, 41):
        trial = study.ask(SPACE)
        at = (
            round((trial.params["share"] - 0.3) / 0.05),
            ["tiny", "base", "small"].index(trial.params["size"]),
        )
        if not (fits[at] and is_silent):
            trial.set_constraint("memory", float(short[at]))
        if not fits[at]:
            study.tell(trial, state=TrialState.PRUNED)
            continue
        study.tell(trial, float(values[at]))
        if values[at] == best:
            return number
    return 41


def mean_trials(table, seeds=SEEDS, **options):
    return np.mean([trials_to_best(table, seed, **options) for seed in seeds])


def test_a_hill_is_climbed():
    assert mean_trials(hill) < 5.2


def test_a_wall_is_learnt_from_failures_alone():
    assert mean_trials(cliff, is_silent=True) < 7.3


def test_between_two_walls_it_finds_its_way():
    assert mean_trials(two_walls) < 8.0


def test_a_wrong_direction_is_no_law():
    """Were it one, 30 trials would be needed."""
    assert mean_trials(cliff, monotone={"memory": {"share": -1, "size": 0}}) < 6.4


@pytest.mark.parametrize(
    ("attack", "bound"), [("silent", 8.3), ("given up", 6.8), ("accident, right direction", 11.5)]
)
def test_no_failure_rules_out_the_best_for_good(attack, bound):
    """The bounds are for 20 seeds."""
    needed = [attacked("tournament", attack, 300_000 + seed) for seed in SEEDS[:20]]
    assert max(needed) <= 20
    assert np.mean(needed) < bound


@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("hills", 5.5),
        ("ridges", 7.8),
        ("matern", 6.9),
        ("failures-only", 7.2),
        ("two-walls", 6.7),
    ],
)
def test_on_tables_that_it_was_not_built_with_it_is_as_good(name, bound):
    runs = [
        race(problem(name, 1000 + seed), "tournament", batch=1, budget=40, to_target=True)
        for seed in SEEDS
    ]
    assert np.mean([run.found or 41 for run in runs]) < bound


def test_a_round_of_eight_is_spread_over_the_mixed_space():
    """Blind, the best 1 % would take 55 of these 80 trials."""
    runs = [
        race(problem("mixed", 1000 + seed), "tournament", batch=8, budget=80, to_target=True)
        for seed in range(15)
    ]
    assert np.mean([run.found or 81 for run in runs]) < 26.0
