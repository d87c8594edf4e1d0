"""These tests reach the end of a space: what is left, what may be replicated, who stops there."""

from collections import Counter

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from study.tournament import TournamentSampler, can_replicate, left, stop_when_exhausted

SPACE = {
    "share": FloatDistribution(0.4, 0.6, step=0.05),
    "size": CategoricalDistribution(["tiny", "base", "small"]),
}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def new_study(**settings):
    return optuna.create_study(sampler=TournamentSampler(**{"seed": 0, **settings}))


def ask_and_tell(study, n, space=SPACE):
    for _ in range(n):
        study.tell(study.ask(space), 1.0)


# what is left


def test_what_is_left_counts_down_to_nothing():
    study = new_study()
    counts = []
    for _ in range(17):
        ask_and_tell(study, 1)
        counts.append(left(study))
    assert counts == [*range(14, -1, -1), 0, 0]


def test_before_the_first_trial_nobody_knows_what_is_left():
    assert left(new_study()) is None
    study = new_study()
    study.ask()
    assert left(study) is None


@pytest.mark.parametrize(
    "axis",
    [FloatDistribution(0, 1), IntDistribution(0, 10**6), FloatDistribution(1e-3, 1, log=True)],
    ids=str,
)
def test_a_space_without_an_end_has_no_number_left(axis):
    study = new_study()
    ask_and_tell(study, 3, SPACE | {"axis": axis})
    assert left(study) is None


def test_a_space_without_an_end_is_never_exhausted():
    study = new_study()
    study.optimize(
        lambda t: t.suggest_float("x", 0, 1), n_trials=20, callbacks=[stop_when_exhausted]
    )
    assert len(study.trials) == 20


def test_running_trials_are_not_left_and_a_failed_one_is_until_its_second_time():
    study = new_study()
    trial = study.ask(SPACE)
    assert left(study) == 14
    study.tell(trial, state=TrialState.FAIL)
    assert left(study) == 15
    study.enqueue_trial(trial.params)
    study.tell(study.ask(SPACE), state=TrialState.FAIL)
    assert left(study) == 14


def test_a_trial_that_was_interrupted_is_left_however_often():
    study = new_study()
    for _ in range(3):
        study.enqueue_trial({"share": 0.5, "size": "tiny"}, skip_if_exists=False)
        trial = study.ask(SPACE)
        trial.set_user_attr("why", "interrupted")
        study.tell(trial, state=TrialState.FAIL)
    assert left(study) == 15


def test_what_a_frontier_rules_out_is_not_left():
    study = new_study(monotone={"memory": {"share": 1, "size": 1}})
    study.enqueue_trial({"share": 0.5, "size": "base"})
    trial = study.ask(SPACE)
    trial.set_constraint("memory", 1.0)
    study.tell(trial, state=TrialState.PRUNED)
    assert left(study) == 15 - 6
    assert left(optuna.load_study(study_name=study.study_name, storage=study._storage)) == 15 - 6


def test_what_a_frontier_rules_out_is_tried_last_of_all():
    study = new_study(monotone={"memory": {"share": 1, "size": 1}}, n_offspring=1)
    study.enqueue_trial({"share": 0.5, "size": "base"})
    beyond = [is_beyond(study, 1.0) for _ in range(16)]
    assert beyond[:10] == [True] + 9 * [False]
    # one replicate tells that there is no noise, and so no other is worth anything
    assert sum(beyond[10:]) == 5
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 15


def test_with_noise_the_leaders_are_replicated_before_what_a_frontier_rules_out():
    """Only the places of fresh blood, one of five, go to what is ruled out."""
    study = new_study(monotone={"memory": {"share": 1, "size": 1}})
    study.enqueue_trial({"share": 0.5, "size": "base"})
    noise = np.random.default_rng(0)
    beyond = [is_beyond(study, noise.normal()) for _ in range(45)]
    assert sum(beyond[1:10]) <= 2  # the doubt in a direction lets some in
    assert sum(beyond) == 6
    late = study.trials[15:]
    assert {trial.user_attrs["slot"] for trial in late if trial.state.name == "PRUNED"} == {4}
    assert {trial.user_attrs["role"] for trial in late if trial.state.name == "COMPLETE"} == {
        "replicate"
    }


@pytest.mark.parametrize("n_offspring", [1, 16])
def test_what_a_law_rules_out_is_never_tried(n_offspring):
    """A size whose words are not shown is barred at any share once one launch has told so."""
    study = new_study(monotone={"words": {"share": 0}}, n_offspring=n_offspring)
    study.enqueue_trial({"share": 0.5, "size": "tiny"})
    noise = np.random.default_rng(0)
    for _ in range(30):
        trial = study.ask(SPACE)
        trial.set_constraint("words", 0.005 if trial.params["size"] == "tiny" else 0.0)
        study.tell(trial, noise.normal())
    sizes = [trial.params["size"] for trial in study.trials]
    assert sizes.count("tiny") == 1
    assert len({tuple(t.params.items()) for t in study.trials}) == 1 + 10
    late = {t.user_attrs["role"] for t in study.trials[11:]}
    assert late >= {"replicate"} and late <= {"replicate", "child", "fresh"}


def is_beyond(study, value):
    """Run a trial; tell whether it demands more memory than there is."""
    trial = study.ask(SPACE)
    size = ["tiny", "base", "small"].index(trial.params["size"])
    if trial.params["share"] < 0.49 or size < 1:
        study.tell(trial, value)
        return False
    trial.set_constraint("memory", 1.0)
    study.tell(trial, state=TrialState.PRUNED)
    return True


def test_imported_trials_are_not_left_and_the_newest_range_counts():
    study = new_study()
    study.add_trial(
        create_trial(params={"share": 0.4, "size": "tiny"}, distributions=SPACE, value=1.0)
    )
    assert left(study) == 14
    smaller = SPACE | {"share": FloatDistribution(0.4, 0.5, step=0.05)}
    study.add_trial(
        create_trial(params={"share": 0.5, "size": "tiny"}, distributions=smaller, value=1.0)
    )
    assert left(study) == 9 - 2


def test_it_reads_the_study_of_another_sampler():
    study = optuna.create_study(
        sampler=optuna.samplers.GridSampler({"x": [1, 2, 3, 4, 5, 6]}, seed=0)
    )
    study.optimize(lambda t: t.suggest_int("x", 1, 6), n_trials=4)
    assert left(study) == 2


# the callback


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_a_study_stops_when_everything_was_tried(n_jobs):
    study = new_study()

    def objective(trial):
        return trial.suggest_float("share", 0.4, 0.6, step=0.05) + len(
            trial.suggest_categorical("size", ["a", "bb"])
        )

    study.optimize(objective, n_trials=100, n_jobs=n_jobs, callbacks=[stop_when_exhausted])
    assert 10 <= len(study.trials) < 10 + n_jobs
    assert len({tuple(sorted(trial.params.items())) for trial in study.trials}) == 10


def test_a_conditional_space_stops_at_its_end():
    study = new_study()

    def objective(trial):
        return trial.suggest_int(trial.suggest_categorical("branch", ["y", "z"]), 1, 4)

    study.optimize(objective, n_trials=100, callbacks=[stop_when_exhausted])
    assert len(study.trials) == 8


def test_a_study_stops_when_frontiers_rule_out_the_rest():
    study = new_study(monotone={"memory": {"share": 1}})

    def objective(trial):
        share = trial.suggest_float("share", 0.4, 0.6, step=0.05)
        trial.set_constraint("memory", share - 0.48)
        if share > 0.48:
            raise optuna.TrialPruned
        return share

    study.optimize(objective, n_trials=100, callbacks=[stop_when_exhausted])
    assert len(study.trials) <= 5
    assert {t.params["share"] for t in study.trials if t.state == TrialState.COMPLETE} == {
        0.4,
        0.45,
    }


def test_a_study_that_resumes_at_its_end_stops_after_one_trial():
    study = new_study()
    for _ in range(2):
        study.optimize(
            lambda t: t.suggest_int("x", 1, 6), n_trials=100, callbacks=[stop_when_exhausted]
        )
    assert len(study.trials) == 7


# beyond the end


def test_nothing_can_be_replicated_before_something_was_measured_or_when_all_is_spent():
    study = new_study()
    assert not can_replicate(study)
    study.tell(study.ask(SPACE), state=TrialState.PRUNED)
    assert not can_replicate(study)
    for spent in (True, False):
        trial = study.ask(SPACE)
        trial.set_user_attr("spent", spent)
        study.tell(trial, 1.0)
        assert can_replicate(study) is not spent


def test_where_everything_is_infeasible_the_study_goes_on_and_says_that_it_repeats():
    study = new_study()
    for _ in range(8):
        trial = study.ask({"x": IntDistribution(1, 4)})
        trial.set_constraint("memory", float(trial.params["x"]))
        study.tell(trial, state=TrialState.PRUNED)
    assert [t.user_attrs["role"] for t in study.trials[4:]] == ["repeat"] * 4
    assert {t.params["x"] for t in study.trials[4:]} <= {1, 2}


def test_spent_configurations_are_left_alone_for_those_that_can_be_measured():
    rng = np.random.default_rng(0)
    study = new_study()
    for _ in range(40):
        trial = study.ask({"x": IntDistribution(1, 4)})
        trial.set_user_attr("spent", trial.params["x"] == 1)
        study.tell(trial, trial.params["x"] + rng.normal(0, 0.3))
    assert Counter(trial.params["x"] for trial in study.trials)[1] == 1


def test_replicates_go_to_the_leaders():
    rng = np.random.default_rng(0)
    study = new_study()
    for _ in range(60):
        trial = study.ask({"x": IntDistribution(0, 9)})
        study.tell(trial, (trial.params["x"] - 4.4) ** 2 + rng.normal(0, 0.5))
    counts = Counter(trial.params["x"] for trial in study.trials)
    assert len(counts) == 10
    assert counts[4] + counts[5] > 30


def test_a_study_without_noise_measures_nothing_again_until_the_end():
    study = new_study()
    for _ in range(15):
        trial = study.ask(SPACE)
        study.tell(trial, trial.params["share"])
    assert "replicate" not in {trial.user_attrs["role"] for trial in study.trials}
