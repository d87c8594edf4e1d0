"""These tests attack the tournament sampler: odd spaces and values, many trials and processes."""

import copy
import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from processes.forks import Forked

from study.tournament import TournamentSampler, standings

ROOT = Path(__file__).resolve().parents[3]
SHARE = FloatDistribution(0.4, 0.6, step=0.05)
SIZE = CategoricalDistribution(["tiny", "base", "small"])
SPACE = {"share": SHARE, "size": SIZE}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def new_study(direction="minimize", storage=None, **settings):
    sampler = TournamentSampler(**{"seed": 0, **settings})
    return optuna.create_study(
        sampler=sampler, direction=direction, storage=storage, study_name="s"
    )


def run(study, n, value, space=SPACE):
    """Return the trials that this asked and told."""
    numbers = [
        study.tell(trial, value(trial)).number for trial in (study.ask(space) for _ in range(n))
    ]
    trials = study.trials  # a copy of all of them each time
    return [trials[number] for number in numbers]


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
    assert all(
        space[name]._contains(space[name].to_internal_repr(t.params[name]))
        for t in trials
        for name in space
    )
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


@pytest.mark.parametrize(
    ("direction", "values"),
    [
        *(
            (direction, values)
            for direction in ("minimize", "maximize")  # where the negative is another case
            for values in ([np.inf], [np.inf, 1.0, 2.0], [np.inf, -np.inf, 1.0], [MAX, 1.0, 2.0])
        ),
        ("minimize", [MAX, -MAX]),
        ("minimize", [1e200, 3e200, 1.0]),
        ("minimize", [1e12, 2e12, 3.3e12]),
        ("minimize", [1e9, 1e9 + 1e-5]),
        ("minimize", [1e-300, 2e-300, 5e-324]),
        ("minimize", [0.1 + 0.2, 0.3]),
        ("minimize", [3.0]),
        ("minimize", [0.0, -0.0]),
    ],
    ids=str,
)
def test_a_study_of_any_values_goes_on_and_recommends_what_is_finite(direction, values):
    study = new_study(direction)
    trials = run(
        study, 25, lambda trial: values[(7 * trial.number + trial.number // 3) % len(values)]
    )
    assert len({tuple(trial.params.values()) for trial in trials}) == 15
    ranking = standings(study)
    assert all(
        np.isfinite([each.mean, each.standard_error, each.raw_mean]).all() for each in ranking
    )
    assert sum(each.probability_best for each in ranking) == pytest.approx(min(len(ranking), 1))


@pytest.mark.parametrize(
    "values",
    [
        [np.inf, -1.0],
        [-np.inf, 1.0],
        [np.inf, -np.inf, 1.0, -1.0],
        [MAX, -MAX],
        [0.0, 1.0],
        [np.inf],
    ],
    ids=str,
)
def test_a_study_of_any_constraints_goes_on(values):
    study = new_study()
    for number in range(15):
        trial = study.ask(SPACE)
        value = values[number % len(values)]
        trial.set_constraint("memory", value)
        study.tell(trial, 1.0 * number) if value <= 0 else study.tell(
            trial, state=TrialState.PRUNED
        )
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 15


# every kind of space, with the model on


def mixed(trial):
    rate = trial.suggest_float("rate", 1e-6, 1.0, log=True)
    tokens = trial.suggest_int("tokens", 1, 100_000, log=True)
    value = (
        abs(np.log10(rate) + 3)
        + abs(np.log10(tokens) - 2)
        + trial.suggest_float("real", -1, 1) ** 2
    )
    branch = trial.suggest_categorical("branch", ["none", "beam", None, 3])
    if branch == "beam":
        value += trial.suggest_int("width", 1, 9, step=2) / 9
    high = 0.6 if trial.number % 7 else 0.5
    return (
        value + trial.suggest_float("share", 0.4, high, step=0.05) + trial.suggest_int("only", 3, 3)
    )


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"n_offspring": 1}, {"population_size": 1, "fresh_inject": 0, "elitism": 3}],
    ids=str,
)
def test_mixed_conditional_and_shrinking_spaces_are_searched(settings, direction):
    study = new_study(direction, **settings)
    study.optimize(mixed, n_trials=60)
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    assert len({tuple(sorted(trial.params.items())) for trial in study.trials}) == 60
    assert all(
        type(value) in (int, float, str, type(None))
        for t in study.trials
        for value in t.params.values()
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_study_goes_on_whatever_parameters_each_trial_asks_for(seed):
    rng = np.random.default_rng(seed)
    space = {
        "a": FloatDistribution(0, 1),
        "b": IntDistribution(1, 9),
        "c": CategoricalDistribution("xyz"),
        **SPACE,
    }
    study = new_study(seed=seed)
    for _ in range(50):
        trial = study.ask({name: axis for name, axis in space.items() if rng.random() < 0.7})
        study.tell(trial, rng.normal())
    assert len(standings(study)) > 20


def test_a_mixed_space_is_searched_better_than_at_random():
    def best(sampler):
        study = optuna.create_study(sampler=sampler)
        study.optimize(mixed, n_trials=50)
        return study.best_value

    ours = np.mean([best(TournamentSampler(seed=seed)) for seed in range(4)])
    assert ours < np.mean([best(optuna.samplers.RandomSampler(seed=seed)) for seed in range(4)])


@pytest.mark.parametrize("seed", range(3))
def test_a_noisy_batched_study_with_failures_and_constraints_goes_on(seed):
    rng = np.random.default_rng(seed)
    study = new_study(
        seed=seed,
        monotone={"memory": {"share": 1, "size": 1}, "kv_cache": {"share": -1, "size": 0}},
    )
    running = []
    for _ in range(120):
        if len(running) < 4:
            running.append(study.ask(SPACE))
            continue
        trial = running.pop(int(rng.integers(4)))
        share, size = trial.params["share"], SIZE.choices.index(trial.params["size"])
        constraints = {"memory": share + 0.1 * size - 0.72, "kv_cache": 0.42 - share}
        for name, value in constraints.items():
            trial.set_constraint(name, value)
        if rng.random() < 0.1:
            study.tell(trial, state=TrialState.FAIL)
        elif max(constraints.values()) > 0:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, share + rng.normal(0, 0.1))
    pruned = [tuple(t.params.values()) for t in study.trials if t.state == TrialState.PRUNED]
    assert len(set(pruned)) == len(pruned) <= 6
    assert roles(study.trials)["replicate"] > 20


# one sampler, many users


def copied(sampler):
    return pickle.loads(pickle.dumps(sampler))


@pytest.mark.parametrize(
    "copy_of", [copied, copy.deepcopy, copy.copy], ids=["pickle", "deepcopy", "copy"]
)
def test_a_copy_has_the_settings_and_proposes_the_same(copy_of):
    sampler = TournamentSampler(seed=4, population_size=6, monotone={"memory": {"share": 1}})
    study = optuna.create_study(sampler=sampler)
    run(study, 8, noise())
    other = copy_of(sampler)
    assert other.settings() == sampler.settings()
    second = optuna.create_study(sampler=other)
    second.add_trials(study.trials)
    assert run(second, 1, noise())[0].params == run(study, 1, noise())[0].params


def test_a_study_can_be_pickled_and_goes_on_alike():
    study = new_study()
    run(study, 8, noise())
    again = copied(study)
    assert run(again, 1, noise())[0].params == run(study, 1, noise())[0].params


def test_one_sampler_serves_two_studies():
    sampler = TournamentSampler(seed=0)
    alone = [trial.params for trial in run(new_study(), 12, lambda t: t.params["share"])]
    one, two = (optuna.create_study(sampler=sampler) for _ in range(2))
    for _ in range(12):
        run(one, 1, lambda t: t.params["share"])
        run(two, 1, lambda t: -t.params["share"])
    assert [trial.params for trial in one.trials] == alone


def test_four_threads_of_a_noisy_study_repeat_nothing_by_accident():
    rng = np.random.default_rng(0)
    study = new_study()
    study.optimize(
        lambda t: (
            t.suggest_float("share", 0.4, 0.6, step=0.05)
            + t.suggest_int("beam", 1, 6)
            + rng.normal()
        ),
        n_trials=60,
        n_jobs=4,
    )
    fresh = [
        tuple(sorted(t.params.items())) for t in study.trials if t.user_attrs["role"] != "replicate"
    ]
    assert len(fresh) == len(set(fresh)) == 30


FRESH_PROCESS = """
import json, sys, warnings
import optuna
from study.tournament import TournamentSampler
warnings.simplefilter("error")
optuna.logging.set_verbosity(optuna.logging.ERROR)
kind, path, first, last = sys.argv[1:]
if kind == "memory":
    storage = None
elif kind == "sqlite":
    storage = "sqlite:///" + path
else:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    storage = JournalStorage(JournalFileBackend(path))
sampler = TournamentSampler(seed=5)
study = optuna.create_study(study_name="s", storage=storage, sampler=sampler, load_if_exists=True)
for number in range(int(first), int(last)):
    trial = study.ask()
    share = trial.suggest_float("share", 0.4, 0.6, step=0.05)
    size = trial.suggest_categorical("size", ["tiny", "base", "small"])
    trial.set_constraint("a", share - 0.57)
    trial.set_constraint("b", 0.1 - share)
    if share > 0.57:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, share * len(size) + 0.1 * (number % 3))
print(json.dumps([[trial.params, trial.user_attrs["role"]] for trial in study.trials]))
"""


@pytest.mark.parametrize("kind", ["sqlite", "journal"])
def test_fresh_processes_go_on_as_one_would_have(kind, tmp_path):
    def go(kind, first, last, hash_seed=None):
        command = [
            sys.executable,
            "-c",
            FRESH_PROCESS,
            kind,
            str(tmp_path / "parts"),
            str(first),
            str(last),
        ]
        env = {**os.environ, **({"PYTHONHASHSEED": hash_seed} if hash_seed else {})}
        start = subprocess.Popen if hash_seed else Forked
        process = start(command, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        return json.loads(output)

    whole = go("memory", 0, 24)
    go(kind, 0, 9)
    # in an interpreter of its own strings hash differently
    parts = go(kind, 9, 24, "9" if kind == "sqlite" else None)
    assert parts == whole
    assert {role for _, role in whole} == {"random", "child", "fresh", "replicate"}


def test_a_study_of_two_thousand_trials_is_asked():
    space = {
        "x": FloatDistribution(0, 1),
        "y": IntDistribution(0, 9),
        "z": CategoricalDistribution("abc"),
    }
    rng = np.random.default_rng(0)
    study = new_study()
    params = [
        {"x": rng.random(), "y": int(rng.integers(10)), "z": "abc"[rng.integers(3)]}
        for _ in range(2_000)
    ]
    study.add_trials(
        [
            create_trial(
                params=each, distributions=space, value=each["x"] + each["y"] + rng.normal()
            )
            for each in params
        ]
    )
    trials = run(study, 6, noise(), space)
    assert [trial.user_attrs["generation"] for trial in trials] == [400] * 5 + [401]
    assert all(trials[0].params != each for each in params)
