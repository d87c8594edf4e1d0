"""These tests show what the tournament proposes, what it never does, and where its state lies."""

import json
import sys
from collections import Counter

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)
from optuna.trial import TrialState, create_trial
from processes.forks import Forked

from study.tournament import TournamentSampler
from study.tournament.configurations import Archive, untried
from study.tournament.ledger import ATTRIBUTE

SHARE = FloatDistribution(0.4, 0.6, step=0.05)
SIZE = CategoricalDistribution(["tiny", "base", "small"])
SPACE = {"share": SHARE, "size": SIZE}
CELLS = [(share, size) for share in (0.4, 0.45, 0.5, 0.55, 0.6) for size in SIZE.choices]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestContract(BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    """Checks what Optuna demands of every sampler."""

    @pytest.fixture
    def sampler(self):
        return lambda: TournamentSampler(seed=0)


def new_study(direction="minimize", storage=None, **settings):
    settings = {"seed": 0, **settings}
    return optuna.create_study(
        sampler=TournamentSampler(**settings), direction=direction, storage=storage, study_name="s"
    )


def cell(trial):
    return round(trial.params["share"], 9), trial.params["size"]


def run(study, n, value=lambda trial: float(trial.number), space=SPACE):
    numbers = []
    for _ in range(n):
        trial = study.ask(space)
        study.tell(trial, value(trial))
        numbers.append(trial.number)
    trials = study.trials  # a copy of all of them each time
    return [trials[number] for number in numbers]


def prune(study, trial, violation):
    trial.set_constraint("memory", violation)
    study.tell(trial, state=TrialState.PRUNED)


def attr(trial, name):
    return trial.user_attrs[name]


# the archive


@pytest.mark.parametrize("seed", range(10))
def test_a_space_of_15_is_measured_in_15_trials(seed):
    assert sorted(map(cell, run(new_study(seed=seed), 15))) == sorted(CELLS)


def test_batches_asked_before_they_are_told_hold_no_duplicates():
    study = new_study()
    for _ in range(3):
        batch = [study.ask(SPACE) for _ in range(5)]
        for trial in batch:
            study.tell(trial, 1.0)
    assert sorted(map(cell, study.trials)) == sorted(CELLS)


def test_a_space_of_some_hundreds_is_exhausted_without_a_duplicate():
    space = {"a": IntDistribution(0, 9), "b": FloatDistribution(0, 1, step=0.2), "c": SIZE}
    trials = run(new_study(), 180, lambda t: t.params["a"] * t.params["b"], space)
    assert len({tuple(trial.params.values()) for trial in trials}) == 180
    assert list(untried(space, [trial.params for trial in trials])) == []


def test_beyond_the_end_the_best_known_are_repeated_and_the_study_is_not_stopped():
    study = new_study()
    study.optimize(lambda t: t.suggest_int("x", 1, 5), n_trials=12)
    assert len(study.trials) == 12
    assert [attr(trial, "role") == "replicate" for trial in study.trials] == [False] * 5 + [
        True
    ] * 7
    assert {trial.params["x"] for trial in study.trials[5:]} <= {1, 2}


def test_one_that_need_not_be_measured_again_is_a_repeat_of_the_best():
    study = new_study(exhausted="repeat")
    study.optimize(lambda t: t.suggest_int("x", 1, 5), n_trials=12)
    assert [attr(trial, "role") == "repeat" for trial in study.trials] == [False] * 5 + [True] * 7
    assert {trial.params["x"] for trial in study.trials[5:]} <= {1, 2}


def test_an_enqueued_baseline_is_marked_and_not_proposed_again():
    study = new_study()
    study.enqueue_trial({"share": 0.5, "size": "small"})
    trials = run(study, 15)
    assert cell(trials[0]) == (0.5, "small")
    assert [attr(trial, "role") for trial in trials[:5]] == ["enqueued"] + ["random"] * 4
    assert sorted(map(cell, trials)) == sorted(CELLS)


@pytest.mark.parametrize("seed", range(5))
def test_the_open_parameter_of_a_partly_enqueued_trial_is_new(seed):
    study = new_study(seed=seed)
    run(study, 1)
    for _ in range(3 - (study.trials[0].params["share"] == 0.5)):
        study.enqueue_trial({"share": 0.5}, skip_if_exists=False)
    trials = run(study, len(study.trials))
    assert len(set(map(cell, study.trials))) == len(study.trials)
    assert [attr(trial, "role") for trial in trials[:2]] == ["enqueued"] * 2
    assert {cell(trial) for trial in study.trials} >= {(0.5, size) for size in SIZE.choices}


def test_an_enqueued_trial_that_has_asked_for_nothing_yet_is_taken():
    study = new_study()
    first = run(study, 1, space={"x": IntDistribution(1, 3)})[0].params["x"]
    second, third = {1, 2, 3} - {first}
    study.enqueue_trial({"x": second})
    study.ask()
    assert study.ask({"x": IntDistribution(1, 3)}).params["x"] == third


def test_imported_trials_are_not_proposed_again_and_breed():
    study = new_study()
    for number, (share, size) in enumerate(CELLS[:5]):
        params = {"share": share, "size": size}
        study.add_trial(create_trial(params=params, distributions=SPACE, value=float(number)))
    trials = run(study, 10, lambda _: 99.0)
    assert sorted(map(cell, trials)) == sorted(CELLS[5:])
    assert attr(trials[0], "generation") == 1
    assert attr(trials[0], "parents") == [0]


def test_a_value_written_with_a_rounding_error_is_the_same_configuration():
    study = new_study()
    study.enqueue_trial({"share": 0.15 * 3, "size": "tiny"})
    assert 0.15 * 3 != 0.45
    assert sorted(map(cell, run(study, 15))) == sorted(CELLS)


def test_a_configuration_that_failed_may_come_once_more_and_no_third_time():
    study = new_study()

    def objective(trial):
        x = trial.suggest_int("x", 1, 3)
        if x == 2:
            raise OSError("no such device")
        return x

    study.optimize(objective, n_trials=9, catch=OSError)
    counts = Counter(trial.state for trial in study.trials)
    assert counts == {TrialState.FAIL: 2, TrialState.COMPLETE: 7}


def test_a_conditional_space_of_eight_is_measured_in_eight_trials():
    study = new_study(seed=3)

    def objective(trial):
        name = trial.suggest_categorical("branch", ["y", "z"])
        return trial.suggest_int(name, 1, 4)

    study.optimize(objective, n_trials=8)
    assert len({tuple(sorted(trial.params.items(), key=str)) for trial in study.trials}) == 8


@pytest.mark.parametrize("seed", range(5))
def test_a_space_that_shrinks_is_searched_to_its_end(seed):
    study = new_study(seed=seed)
    run(study, 7)
    smaller = {"share": FloatDistribution(0.45, 0.55, step=0.05), "size": SIZE}
    measured = [*map(cell, study.trials)]
    left = [(s, size) for s, size in CELLS if 0.42 < s < 0.58 and (s, size) not in measured]
    assert sorted(map(cell, run(study, len(left), space=smaller))) == sorted(left)


@pytest.mark.parametrize("seed", range(5))
def test_what_a_shrinking_range_cuts_off_is_proposed_anew_as_a_whole(seed):
    study = new_study(seed=seed)
    last = (0.5, "small")
    for share, size in CELLS:
        if (share, size) not in ((0.4, "tiny"), (0.6, "tiny"), last):
            params = {"share": share, "size": size}
            value = 10.0 * SIZE.choices.index(size)  # so that what is cut off looks best
            study.add_trial(create_trial(params=params, distributions=SPACE, value=value))
    trial = study.ask({"share": FloatDistribution(0.45, 0.55, step=0.05), "size": SIZE})
    assert cell(trial) == last
    assert study.trials[trial.number].system_attrs[ATTRIBUTE]["proposal"] == trial.params


# workers


class Rival(InMemoryStorage):
    """The rival holds the same the moment a proposal is written."""

    rival_id = None

    def set_trial_system_attr(self, trial_id, key, value):
        super().set_trial_system_attr(trial_id, key, value)
        if key == ATTRIBUTE and self.rival_id not in (None, trial_id):
            rival_id, self.rival_id = self.rival_id, None
            super().set_trial_system_attr(rival_id, key, value)


def test_whoever_sees_a_clash_draws_again():
    storage = Rival()
    study = new_study(storage=storage)
    run(study, 1)
    rival = study.ask()
    storage.rival_id = rival._trial_id
    mine = study.ask(SPACE)
    theirs = study.trials[rival.number].system_attrs[ATTRIBUTE]["proposal"]
    assert theirs.keys() == SPACE.keys()
    assert mine.params != theirs


def test_a_clash_is_seen_before_the_space_is_known():
    storage = Rival()
    study = new_study(storage=storage)
    rival = study.ask()
    storage.rival_id = rival._trial_id
    mine = study.ask({"x": IntDistribution(1, 4)})
    assert mine.params != study.trials[rival.number].system_attrs[ATTRIBUTE]["proposal"]


class Reads(InMemoryStorage):
    """It counts how often trials are read, and may start one when a proposal is written."""

    reads = 0
    late = None

    def get_all_trials(self, *args, **options):
        self.reads += 1
        return super().get_all_trials(*args, **options)

    def set_trial_system_attr(self, trial_id, key, value):
        super().set_trial_system_attr(trial_id, key, value)
        if key == ATTRIBUTE and self.late is not None:
            study_id, self.late = self.late, None
            super().set_trial_system_attr(self.create_new_trial(study_id), key, value)


def reads(storage, study):
    """Return how often an ask reads all trials, Optuna's own search for those that wait apart."""
    before = storage.reads
    study.ask(SPACE)
    return storage.reads - before - 1


def test_trials_are_read_once_for_an_ask_while_nobody_else_can_have_proposed():
    storage = Reads()
    study = new_study(storage=storage)
    run(study, 3)
    held = [study.ask(SPACE) for _ in range(4)]  # they have asked for all they measure
    assert reads(storage, study) == 1
    rival = study.ask()  # it has asked for nothing yet
    assert reads(storage, study) == 2
    study.tell(rival, state=TrialState.FAIL)
    assert reads(storage, study) == 1
    study.enqueue_trial({"share": 0.4})  # whoever asks next has it
    study.ask()
    assert reads(storage, study) == 2
    assert len({cell(trial) for trial in held}) == 4


def test_who_starts_after_the_trials_were_read_is_seen():
    storage = Reads()
    study = new_study(storage=storage)
    run(study, 3)
    storage.late = study._study_id
    mine = study.ask(SPACE)
    theirs = study.trials[mine.number + 1].system_attrs[ATTRIBUTE]["proposal"]
    assert theirs.keys() == SPACE.keys()
    assert mine.params != theirs


def test_four_threads_propose_no_duplicate():
    def objective(trial):
        share = trial.suggest_float("share", 0.4, 0.6, step=0.05)
        return share + len(trial.suggest_categorical("size", SIZE.choices))

    study = new_study()
    study.optimize(objective, n_trials=1)  # before the space is known, parameters come one by one
    study.optimize(objective, n_trials=11, n_jobs=4)
    assert len(set(map(cell, study.trials))) == 12


def test_four_processes_propose_no_duplicate(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = new_study(storage=url)
    study.optimize(lambda t: t.suggest_int("a", 1, 5) + t.suggest_int("b", 1, 3), n_trials=1)
    code = f"""if True:
        import optuna
        from study.tournament import TournamentSampler
        sampler = TournamentSampler(seed=0)
        study = optuna.load_study(study_name="s", storage={url!r}, sampler=sampler)
        study.optimize(lambda t: t.suggest_int("a", 1, 5) + t.suggest_int("b", 1, 3), n_trials=3)
    """
    workers = [Forked([sys.executable, "-c", code]) for _ in range(4)]
    assert [worker.wait(60) for worker in workers] == [0] * 4
    assert len({tuple(sorted(trial.params.items())) for trial in study.trials}) == 13


# generations, parents


def test_a_generation_is_children_of_the_last_one_and_fresh_blood():
    trials = run(new_study(), 10)
    assert [attr(trial, "role") for trial in trials] == ["random"] * 5 + ["child"] * 4 + ["fresh"]
    assert [attr(trial, "generation") for trial in trials] == [0] * 5 + [1] * 5
    assert [attr(trial, "slot") for trial in trials] == [0, 1, 2, 3, 4] * 2
    assert all(
        trials[parent].number < 5 for trial in trials[5:9] for parent in attr(trial, "parents")
    )


def test_pruned_and_running_trials_count_for_the_generation():
    study = new_study()
    for _ in range(3):
        prune(study, study.ask(SPACE), 1.0)
    study.ask(SPACE), study.ask(SPACE)
    assert attr(run(study, 1)[0], "generation") == 1


def test_a_failed_trial_gives_its_place_back():
    study = new_study()
    batch = [study.ask(SPACE) for _ in range(5)]
    study.tell(batch[2], state=TrialState.FAIL)
    trials = run(study, 2)
    assert [(attr(t, "generation"), attr(t, "slot")) for t in trials] == [(0, 2), (1, 0)]


def test_the_elite_stays_a_parent_and_is_not_run_again():
    trials = run(new_study(), 15)  # the value is the number: the first is the best for ever
    assert attr(trials[5], "parents") == attr(trials[10], "parents") == [0]
    assert [cell(trial) for trial in trials].count(cell(trials[0])) == 1


def test_without_elitism_the_best_of_an_old_generation_is_forgotten():
    trials = run(new_study(elitism=0), 14)
    assert all(5 <= parent < 10 for trial in trials[10:] for parent in attr(trial, "parents"))


def test_a_tournament_keeps_the_best_of_each_group():
    study = new_study(tournament_size=2, survivors=1, elitism=0)
    values = [3.0, 4.0, 1.0, 2.0, 9.0]  # groups (3, 4), (1, 2), (9)
    trials = run(study, 5, lambda trial: values[trial.number])
    trials = run(study, 4)
    assert [attr(trial, "parents") for trial in trials] == [[2], [0], [4], [2]]


def test_pruned_trials_never_breed_before_feasible_ones():
    study = new_study()
    for violation in (0.1, 0.2, None, None, 0.3):
        trial = study.ask(SPACE)
        if violation:
            prune(study, trial, violation)
        else:
            study.tell(trial, 1000.0)
    assert [attr(trial, "parents") for trial in run(study, 4, lambda _: 2000.0)] == [
        [2],
        [3],
        [2],
        [3],
    ]


def test_a_complete_trial_beyond_its_constraint_does_not_breed_before_feasible_ones():
    study = new_study()
    for number in range(5):
        trial = study.ask(SPACE)
        trial.set_constraint("memory", 1.0 if number else -1.0)
        study.tell(trial, 1000.0 - number)  # the feasible one has the worst value
    assert [attr(trial, "parents") for trial in run(study, 4, lambda _: 2000.0)] == [[0]] * 4


def test_among_the_infeasible_the_smallest_violation_breeds_first_and_a_silent_one_last():
    study = new_study(survivors=4, elitism=0, tournament_size=5, population_size=6)
    for violation in (300.0, 20.0, 100.0, 50.0):
        prune(study, study.ask(SPACE), violation)
    study.tell(study.ask(SPACE), state=TrialState.PRUNED)
    study.tell(study.ask(SPACE), state=TrialState.PRUNED)
    assert [attr(trial, "parents") for trial in run(study, 4, lambda _: 0.0)] == [
        [1],
        [3],
        [2],
        [0],
    ]


def test_an_infeasible_first_generation_does_not_end_the_search():
    study = new_study()
    for _ in range(15):
        trial = study.ask(SPACE)
        prune(study, trial, trial.params["share"])
    assert sorted(map(cell, study.trials)) == sorted(CELLS)
    assert Counter(attr(trial, "role") for trial in study.trials)["child"] >= 6


def test_failed_trials_are_no_parents():
    study = new_study()
    run(study, 4)
    study.tell(study.ask(SPACE), state=TrialState.FAIL)
    trials = run(study, 5)
    assert attr(trials[1], "generation") == 1
    assert {parent for trial in trials for parent in attr(trial, "parents")} <= {0, 1, 2, 3, 5}


def test_maximising_is_minimising_the_negative():
    low, high = new_study(), new_study("maximize")
    run(low, 12, lambda t: t.params["share"] - len(t.params["size"]))
    run(high, 12, lambda t: len(t.params["size"]) - t.params["share"])
    assert [t.params for t in low.trials] == [t.params for t in high.trials]


# mutation


def test_a_child_differs_from_its_parent_and_an_ordinal_mostly_by_one_step():
    space = {name: IntDistribution(0, 29) for name in "xyz"}
    trials = run(new_study(n_offspring=1), 200, lambda t: sum(t.params.values()), space)
    moves = [
        [abs(child.params[name] - trials[parent].params[name]) for name in space]
        for child in trials
        for parent in attr(child, "parents")
    ]
    assert len(moves) > 150
    assert [0, 0, 0] not in moves
    steps = [step for move in moves for step in move if step]
    assert 0.45 < steps.count(1) / len(steps) < 0.85  # .7, less where all neighbours are known


def test_every_kind_of_parameter_gets_python_values_from_its_range():
    space = {
        "share": SHARE,
        "real": FloatDistribution(-1.0, 1.0),
        "rate": FloatDistribution(1e-6, 1.0, log=True),
        "count": IntDistribution(1, 7),
        "tokens": IntDistribution(1, 100_000, log=True),
        "length": IntDistribution(512, 65_536, step=512),
        "flag": CategoricalDistribution([True, False, None]),
        "only": IntDistribution(3, 3),
    }
    trials = run(new_study(), 80, lambda t: -t.params["tokens"], space)
    kinds = {name: {type(trial.params[name]) for trial in trials} for name in space}
    assert kinds == {
        "share": {float},
        "real": {float},
        "rate": {float},
        "count": {int},
        "tokens": {int},
        "length": {int},
        "flag": {bool, type(None)},
        "only": {int},
    }
    proposals = [trial.system_attrs[ATTRIBUTE]["proposal"] for trial in trials[1:]]
    for name, distribution in space.items():
        for proposal in proposals:
            assert distribution._contains(distribution.to_internal_repr(proposal[name])), (
                name,
                proposal,
            )
    assert json.loads(json.dumps(proposals)) == proposals
    assert np.median([t.params["tokens"] for t in trials[40:]]) > np.median(
        [t.params["tokens"] for t in trials[:5]]
    )


# state


def test_a_resumed_study_goes_on_as_if_it_had_never_stopped(tmp_path):
    whole = [trial.params for trial in run(new_study(seed=5), 14)]
    url = f"sqlite:///{tmp_path / 'study.db'}"
    run(new_study(seed=5, storage=url), 7)
    resumed = optuna.load_study(study_name="s", storage=url, sampler=TournamentSampler(seed=5))
    run(resumed, 7)
    assert [trial.params for trial in resumed.trials] == whole


def test_two_seeds_propose_differently():
    assert [t.params for t in run(new_study(seed=1), 6)] != [
        t.params for t in run(new_study(seed=2), 6)
    ]


def test_a_missing_seed_is_drawn_once_and_kept_in_the_study():
    storage = InMemoryStorage()
    study = new_study(storage=storage, seed=None)
    run(study, 3)
    seed = study.user_attrs[ATTRIBUTE]["seed"]
    resumed = optuna.load_study(study_name="s", storage=storage, sampler=TournamentSampler())
    run(resumed, 3)
    assert resumed.user_attrs[ATTRIBUTE]["seed"] == seed
    assert [t.params for t in resumed.trials] == [t.params for t in run(new_study(seed=seed), 6)]


def test_the_study_says_which_settings_proposed_its_trials():
    study = new_study(elitism=2, seed=9)
    run(study, 1)
    assert (
        study.user_attrs[ATTRIBUTE]
        == study._storage.get_study_system_attrs(study._study_id)[ATTRIBUTE]
        == {
            "tournament_size": 4,
            "survivors": 2,
            "elitism": 2,
            "fresh_inject": 1,
            "population_size": 5,
            "n_offspring": 16,
            "exhausted": "replicate",
            "monotone": {},
            "seed": 9,
        }
    )


def test_two_objectives_are_refused_by_name():
    study = optuna.create_study(
        directions=["minimize", "maximize"], sampler=TournamentSampler(seed=0)
    )
    with pytest.raises(ValueError, match="one objective, not 2; use NSGAIISampler"):
        study.ask(SPACE)


@pytest.mark.parametrize(
    "settings",
    [{"survivors": 5}, {"survivors": 0}, {"fresh_inject": 5}, {"elitism": -1}, {"seed": -1}],
)
def test_settings_that_make_no_tournament_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        TournamentSampler(**settings)


def test_a_space_with_a_continuous_parameter_has_no_end():
    assert untried({"x": FloatDistribution(0, 1)}, []) is None


def test_the_archive_tells_true_from_one_and_one_from_its_name():
    assert not any({"x": value} in Archive([{"x": 1}]) for value in (True, "1", 2))
    assert {"x": 1.0} in Archive([{"x": 1}])


# is it any good?


def test_it_finds_the_optimum_of_a_smooth_table_sooner_than_random_or_an_exhaustive_order():
    def trials_to_optimum(sampler, seed):
        rng = np.random.default_rng([17, seed])
        row, column = rng.uniform(-0.5, 4.5), rng.uniform(-0.5, 2.5)
        table = np.array(
            [[(i - row) ** 2 + 2 * (j - column) ** 2 for j in range(3)] for i in range(5)]
        )
        study = optuna.create_study(sampler=sampler)
        while True:
            trial = study.ask({"i": IntDistribution(0, 4), "j": IntDistribution(0, 2)})
            value = float(table[trial.params["i"], trial.params["j"]])
            study.tell(trial, value)
            if value == table.min():
                return trial.number + 1

    mean = np.mean([trials_to_optimum(TournamentSampler(seed=seed), seed) for seed in range(60)])
    random = np.mean(
        [trials_to_optimum(optuna.samplers.RandomSampler(seed=seed), seed) for seed in range(60)]
    )
    assert mean < 7.4  # a random order without repeats needs 8.0
    assert mean < 0.6 * random
