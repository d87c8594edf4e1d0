"""The tournament sampler under attack: odd spaces, odd values, many trials, other processes."""

from collections import Counter

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from study.tournament import TournamentSampler, standings

SHARE = FloatDistribution(0.4, 0.6, step=0.05)
SIZE = CategoricalDistribution(["tiny", "base", "small"])
SPACE = {"share": SHARE, "size": SIZE}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def new_study(direction="minimize", storage=None, **settings):
    sampler = TournamentSampler(**{"seed": 0, **settings})
    return optuna.create_study(sampler=sampler, direction=direction, storage=storage, study_name="s")


def run(study, n, value, space=SPACE):
    """The trials that this asked and told."""
    asked = [study.tell(trial, value(trial)).number for trial in (study.ask(space) for _ in range(n))]
    return [study.trials[number] for number in asked]


def noise(seed=0):
    rng = np.random.default_rng(seed)
    return lambda _: rng.normal()


def roles(trials):
    return Counter(trial.user_attrs["role"] for trial in trials)


# replicates in spaces that are not the whole one


def test_a_partly_enqueued_trial_of_a_noisy_study_keeps_what_was_enqueued():
    study = new_study()
    run(study, 20, noise())
    for share in (0.4, 0.45, 0.5, 0.55, 0.6):
        study.enqueue_trial({"share": share}, skip_if_exists=False)
    trials = run(study, 5, noise(1))
    assert [trial.params["share"] for trial in trials] == [0.4, 0.45, 0.5, 0.55, 0.6]
    assert roles(trials) == {"enqueued": 5}


@pytest.mark.parametrize(
    "space",
    [
        SPACE | {"beam": CategoricalDistribution([1, 5])},
        SPACE | {"share": FloatDistribution(0.3, 0.7, step=0.05)},
        SPACE | {"share": FloatDistribution(0.45, 0.5, step=0.05)},
    ],
    ids=["a new parameter", "a wider range", "a narrower range"],
)
def test_a_noisy_study_goes_on_in_another_space(space):
    study = new_study()
    run(study, 20, noise())
    trials = run(study, 30, noise(1), space)
    assert all(space[name]._contains(space[name].to_internal_repr(t.params[name])) for t in trials for name in space)
    assert roles(trials)["replicate"] > 0


def test_an_exhausted_conditional_space_is_replicated_where_that_tells_most():
    rng = np.random.default_rng(0)
    study = new_study()

    def objective(trial):
        branch = trial.suggest_categorical("branch", ["y", "z"])
        place = trial.suggest_int(branch, 0, 2)
        return place + 3 * (branch == "z") + rng.normal(0, 0.5)

    study.optimize(objective, n_trials=36)
    assert roles(study.trials[6:]).keys() == {"replicate"}
    counts = Counter(tuple(trial.params.items()) for trial in study.trials)
    assert len(counts) == 6
    assert counts[("branch", "y"), ("y", 0)] > counts[("branch", "z"), ("z", 2)] + 5


# values that are hardly numbers

MAX = 1.7976931348623157e308


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize(
    "values",
    [
        [np.inf], [np.inf, 1.0, 2.0], [np.inf, -np.inf, 1.0], [MAX, 1.0, 2.0], [MAX, -MAX], [1e200, 3e200, 1.0],
        [1e12, 2e12, 3.3e12], [1e9, 1e9 + 1e-5], [1e-300, 2e-300, 5e-324], [0.1 + 0.2, 0.3], [3.0], [0.0, -0.0],
    ],
    ids=str,
)  # fmt: skip
def test_a_study_of_any_values_goes_on_and_recommends_what_is_finite(values, direction):
    study = new_study(direction)
    trials = run(study, 40, lambda trial: values[(7 * trial.number + trial.number // 3) % len(values)])
    assert len({tuple(trial.params.values()) for trial in trials}) == 15
    found = standings(study)
    assert all(np.isfinite([each.mean, each.standard_error, each.raw_mean]).all() for each in found)
    assert sum(each.probability_best for each in found) == pytest.approx(min(len(found), 1))


@pytest.mark.parametrize(
    "values", [[np.inf, -1.0], [-np.inf, 1.0], [np.inf, -np.inf, 1.0, -1.0], [MAX, -MAX], [0.0, 1.0], [np.inf]], ids=str
)
def test_a_study_of_any_constraints_goes_on(values):
    study = new_study()
    for number in range(15):
        trial = study.ask(SPACE)
        value = values[number % len(values)]
        trial.set_constraint("memory", value)
        study.tell(trial, 1.0 * number) if value <= 0 else study.tell(trial, state=TrialState.PRUNED)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 15
