"""These tests show that a ledger does not depend on when it looked, and what it rules out."""

import itertools
import math

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from study.tournament.ledger import ATTRIBUTE, Ledger

SPACE = {
    "share": FloatDistribution(0.4, 0.6, step=0.05),
    "size": CategoricalDistribution(["tiny", "base", "small"]),
}
MONOTONE = {"memory": {"share": 1, "size": 1}, "kv_cache": {"share": -1, "size": 0}}
CELLS = [
    {"share": s, "size": z} for s in (0.4, 0.45, 0.5, 0.55, 0.6) for z in ("tiny", "base", "small")
]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def ledger_with(*trials, monotone=MONOTONE, direction="minimize"):
    """Return a ledger of trials, each (params, value or None for pruned, constraints)."""
    study = optuna.create_study(direction=direction)
    for params, value, constraints in trials:
        result = {"value": value} if value is not None else {"state": TrialState.PRUNED}
        distributions = {name: SPACE.get(name, IntDistribution(0, 99)) for name in params}
        attrs = {"constraints:" + name: amount for name, amount in constraints.items()}
        study.add_trial(
            create_trial(params=params, distributions=distributions, system_attrs=attrs, **result)
        )
    ledger = Ledger(study.direction, monotone)
    ledger.catch_up(study.get_trials(deepcopy=False))
    assert [dict(trial.constraints) for trial in study.trials] == [
        constraints for _, _, constraints in trials
    ]
    return ledger


def ruled_out(ledger, configs=CELLS):
    return [tuple(config.values()) for config in configs if ledger.rules_out(config)]


# frontiers


def test_what_broke_memory_rules_out_all_that_demands_as_much():
    ledger = ledger_with(({"share": 0.5, "size": "base"}, None, {"memory": 300.0}))
    assert ruled_out(ledger) == [(s, z) for s in (0.5, 0.55, 0.6) for z in ("base", "small")]


def test_what_broke_the_kv_cache_rules_out_less_share_at_any_size():
    ledger = ledger_with(({"share": 0.45, "size": "small"}, None, {"kv_cache": 1.0}))
    assert ruled_out(ledger) == [(s, z) for s in (0.4, 0.45) for z in ("tiny", "base", "small")]


def test_a_constraint_that_was_met_or_has_no_frontier_rules_out_nothing():
    one = {"share": 0.4, "size": "tiny"}
    assert ruled_out(ledger_with((one, 1.0, {"memory": 0.0, "kv_cache": -1.0}))) == []
    assert ruled_out(ledger_with((one, None, {"words": 1.0}))) == []
    assert ruled_out(ledger_with((one, None, {}))) == []
    assert ruled_out(ledger_with((one, None, {"memory": 1.0}), monotone=None)) == []


def test_a_complete_trial_that_broke_a_constraint_has_a_frontier_too():
    assert ruled_out(ledger_with(({"share": 0.6, "size": "small"}, 1.0, {"memory": 1.0}))) == [
        (0.6, "small")
    ]


def test_two_frontiers_meet():
    ledger = ledger_with(
        ({"share": 0.5, "size": "small"}, None, {"memory": 1.0}),
        ({"share": 0.45, "size": "tiny"}, None, {"kv_cache": 1.0}),
    )
    assert [config for config in CELLS if not ledger.rules_out(config)] == [
        {"share": s, "size": z} for s in (0.5, 0.55, 0.6) for z in ("tiny", "base")
    ]


def test_a_parameter_without_a_direction_must_be_the_same():
    beams = [{**config, "beam": beam} for config in CELLS for beam in (1, 5)]
    ledger = ledger_with(({"share": 0.6, "size": "small", "beam": 5}, None, {"memory": 1.0}))
    assert ruled_out(ledger, beams) == [(0.6, "small", 5)]


def test_a_configuration_that_lacks_what_the_broken_one_had_is_not_ruled_out():
    ledger = ledger_with(({"share": 0.4, "size": "tiny"}, None, {"memory": 1.0}))
    assert not ledger.rules_out({"share": 0.6})
    assert ledger.rules_out({"share": 0.6, "size": "small", "more": 1})


def test_a_configuration_may_lack_what_does_not_matter():
    ledger = ledger_with(({"share": 0.5, "size": "tiny"}, None, {"kv_cache": 1.0}))
    assert ledger.rules_out({"share": 0.45})


def test_a_trial_that_broke_a_constraint_before_it_asked_for_anything_rules_out_nothing():
    ledger = ledger_with(({}, None, {"memory": 1.0}))
    assert ruled_out(ledger, [{}, *CELLS]) == []


BROKE = ({"share": 0.45, "size": "tiny"}, None, {"memory": 1.0})
BROKE_TOO = ({"share": 0.55, "size": "small"}, None, {"memory": 1.0})
MET = ({"share": 0.5, "size": "base"}, 1.0, {"memory": -1.0})


@pytest.mark.parametrize("trials", [*itertools.permutations([BROKE, BROKE_TOO, MET])])
def test_what_met_it_though_it_demands_as_much_refutes_a_failure_and_no_other(trials):
    assert len(ruled_out(ledger_with(BROKE, BROKE_TOO))) == 12
    assert ruled_out(ledger_with(*trials)) == [(0.55, "small"), (0.6, "small")]


def test_who_broke_nothing_and_names_nothing_refutes_a_failure_too():
    assert ruled_out(ledger_with(BROKE, ({"share": 0.5, "size": "base"}, 1.0, {}))) == []
    other = ({"share": 0.5, "size": "base"}, None, {"kv_cache": 1.0})
    assert len(ruled_out(ledger_with(BROKE, other), CELLS[3:])) == 12


def test_a_tiny_value_is_not_as_much_as_one_ten_times_as_large():
    study = optuna.create_study()
    rate = {"rate": FloatDistribution(1e-15, 1e-12, log=True)}
    attrs = {"constraints:memory": 1.0}
    state = TrialState.PRUNED
    study.add_trial(
        create_trial(params={"rate": 5e-13}, distributions=rate, system_attrs=attrs, state=state)
    )
    ledger = Ledger(study.direction, {"memory": {"rate": 1}})
    ledger.catch_up(study.trials)
    verdicts = [ledger.rules_out({"rate": rate}) for rate in (5e-14, 5e-13 - 1e-28, 5e-13, 6e-13)]
    assert verdicts == [False, True, True, True]


# order


def random_history(rng, study, steps=100):
    """Ask and end at random, out of order, enqueue and import trials; yield after each step."""
    running = []
    for _ in range(steps):
        match int(rng.integers(8)):
            case 0 | 1 | 2:
                trial = study.ask()
                trial.suggest_float("share", 0.4, 0.6, step=0.05)
                if rng.random() < 0.9:
                    trial.suggest_categorical("size", SPACE["size"].choices)
                running.append(trial)
            case 3:
                study.enqueue_trial(
                    {"share": float(rng.choice([0.4, 0.5, 0.6]))}, skip_if_exists=False
                )
            case 4:
                params = CELLS[rng.integers(len(CELLS))]
                attrs = {"repeat_of": 0} if rng.random() < 0.3 else {}
                value = float(rng.choice([1.0, 0.1, 0.3, math.inf]))
                study.add_trial(
                    create_trial(params=params, distributions=SPACE, value=value, user_attrs=attrs)
                )
            case _ if running:
                trial = running.pop(int(rng.integers(len(running))))
                if rng.random() < 0.2:
                    trial.set_user_attr("why", "interrupted") if rng.random() < 0.5 else None
                    study.tell(trial, state=TrialState.FAIL)
                    continue
                if rng.random() < 0.5:
                    trial.set_constraint("memory", float(rng.choice([-1.0, 0.1, 0.2])))
                if rng.random() < 0.3:
                    study.tell(trial, state=TrialState.PRUNED)
                else:
                    study.tell(trial, rng.normal())
        yield


def portrait(ledger, size=5):
    """Return all that a ledger says."""
    members = [
        (
            c.first.number,
            c.rank,
            c.values,
            dict(sorted(c.constraints.items())),
            c.running,
            c.is_spent,
            c.is_candidate,
        )
        for c in ledger.best_first()
    ]
    generations = [[c.first.number for c in ledger.generation(index, size)] for index in range(20)]
    return (
        members,
        [c.first.number for c in ledger.newest_first()],
        generations,
        [ledger.started_before(number) for number in range(101)],
        ledger.running.configs,
        np.nan_to_num(ledger.running.coordinates(SPACE), nan=-1).tolist(),
        ledger.is_noisy,
        ledger.space(),
        [config in ledger for config in CELLS],
        ruled_out(ledger),
    )


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("seed", range(15))
def test_a_ledger_that_looks_often_knows_what_one_that_looks_once_does(seed, direction):
    rng = np.random.default_rng(seed)
    study = optuna.create_study(
        direction=direction, sampler=optuna.samplers.RandomSampler(seed=seed)
    )
    often = Ledger(study.direction, MONOTONE)
    for _ in random_history(rng, study):
        if rng.random() < 0.7:
            often.catch_up(study.get_trials(deepcopy=False))
            once = Ledger(study.direction, MONOTONE)
            once.catch_up(study.get_trials(deepcopy=False))
            assert portrait(often) == portrait(once)
    states = {trial.state for trial in study.trials}
    assert states >= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}


def test_the_one_that_asks_is_not_in_its_own_way():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask(SPACE) for _ in range(2)]
    ledger = Ledger(study.direction)
    for asking, other in itertools.permutations(trials):
        ledger.catch_up(study.get_trials(deepcopy=False), asking.number)
        assert ledger.running.configs == [other.params]
        assert asking.params not in ledger
        assert other.params in ledger


def test_a_running_replicate_is_counted_until_it_ends():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    one = CELLS[0]
    study.add_trial(create_trial(params=one, distributions=SPACE, value=1.0))
    ledger = Ledger(study.direction)
    study.enqueue_trial(one)
    counts = []
    trial = study.ask(SPACE)
    for end in (None, None, 2.0):
        if end:
            study.tell(trial, end)
        ledger.catch_up(study.get_trials(deepcopy=False))
        counts.append((ledger.best_first()[0].running, len(ledger.best_first()[0].values)))
    assert counts == [(1, 1), (1, 1), (0, 2)]


# members


@pytest.mark.parametrize(
    ("direction", "mean"), [(StudyDirection.MINIMIZE, 2.0), (StudyDirection.MAXIMIZE, -2.0)]
)
def test_a_mean_is_of_fresh_measurements_to_be_minimised(direction, mean):
    study = optuna.create_study(direction=direction.name.lower())
    for value, attrs in ((1.0, {}), (3.0, {}), (1.0, {"repeat_of": 0})):
        study.add_trial(
            create_trial(params=CELLS[0], distributions=SPACE, value=value, user_attrs=attrs)
        )
    ledger = Ledger(direction)
    ledger.catch_up(study.trials)
    (member,) = ledger.best_first()
    assert (member.mean, len(member.values), ledger.is_noisy) == (mean, 2, True)


def test_a_copied_value_is_no_sign_of_noise():
    study = optuna.create_study()
    for attrs in ({}, {"repeat_of": 0}):
        value = 1.0 + len(attrs)
        study.add_trial(
            create_trial(params=CELLS[0], distributions=SPACE, value=value, user_attrs=attrs)
        )
    ledger = Ledger(study.direction)
    ledger.catch_up(study.trials)
    assert not ledger.is_noisy


def test_the_worst_of_each_constraint_counts():
    one = CELLS[0]
    ledger = ledger_with(
        (one, 1.0, {"memory": -1.0, "words": 0.5}), (one, 2.0, {"memory": 2.0, "words": -1.0})
    )
    (member,) = ledger.best_first()
    assert (member.violation, member.constraints, member.is_candidate) == (
        2.0,
        {"memory": 2.0, "words": 0.5},
        False,
    )


def test_the_order_is_feasible_by_mean_then_infeasible_by_excess_then_silent():
    ledger = ledger_with(
        (CELLS[0], None, {}),
        (CELLS[1], None, {"memory": 9.0}),
        (CELLS[2], 5.0, {"memory": 1.0}),
        (CELLS[3], 7.0, {"memory": -1.0}),
        (CELLS[4], 6.0, {}),
    )
    assert [member.first.number for member in ledger.best_first()] == [4, 3, 2, 1, 0]
    assert [member.first.number for member in ledger.best_first(2)] == [4, 3]
    assert [member.first.number for member in ledger.newest_first()] == [4, 3, 2, 1, 0]


def test_infinite_measurements_of_both_signs_have_the_worst_mean():
    ledger = ledger_with(
        *((CELLS[0], value, {}) for value in (1.0, -math.inf, math.inf)), (CELLS[1], 5.0, {})
    )
    assert [member.mean for member in ledger.best_first()] == [5.0, math.inf]


def test_a_proposal_that_is_only_written_is_taken():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    trial.storage.set_trial_system_attr(trial._trial_id, ATTRIBUTE, {"proposal": CELLS[7]})
    ledger = Ledger(study.direction)
    ledger.catch_up(study.get_trials(deepcopy=False))
    assert CELLS[7] in ledger
    assert CELLS[8] not in ledger


def test_a_running_trial_that_has_asked_for_one_parameter_blocks_no_row():
    study = optuna.create_study()
    study.ask().suggest_int("x", 1, 3)
    ledger = Ledger(study.direction)
    ledger.catch_up(study.get_trials(deepcopy=False))
    assert {"x": study.trials[0].params["x"]} in ledger
    assert {"x": study.trials[0].params["x"], "y": 1} not in ledger


# what was given up


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_a_pruned_trial_with_all_constraints_met_is_feasible_and_poor(direction):
    """Behind all that was measured whole, before what broke a constraint or says nothing."""
    study = optuna.create_study(direction=direction)
    for number, (state, value, constraints) in enumerate(
        [
            (TrialState.PRUNED, 9.0, {}),
            (TrialState.PRUNED, 9.0, {"memory": 0.5}),
            (TrialState.PRUNED, 9.0, {"memory": -0.1}),
            (TrialState.COMPLETE, 1.0, {"memory": -0.2}),
        ]
    ):
        study.add_trial(
            create_trial(
                state=state,
                value=value,
                params={"x": number},
                distributions={"x": IntDistribution(0, 9)},
                system_attrs={"constraints:" + k: v for k, v in constraints.items()},
                intermediate_values={0: value},
            )
        )
    ledger = Ledger(study.direction)
    ledger.catch_up(study.get_trials(deepcopy=False))
    ranked = ledger.best_first()
    assert [member.first.params["x"] for member in ranked] == [3, 2, 1, 0]
    assert [member.is_candidate for member in ranked] == [True, False, False, False]
    sign = -1 if direction == "maximize" else 1
    assert ranked[1].shown == [sign * 9.0] and ranked[2].shown == []
    assert {"x": 2} in ledger


def test_one_that_was_given_up_has_met_what_it_does_not_name():
    study = optuna.create_study()
    axes: dict[str, BaseDistribution] = {"x": IntDistribution(0, 9)}
    for x, attrs in enumerate(({"pruned": "dominated"}, {})):
        study.enqueue_trial({"x": x})
        trial = study.ask(axes)
        trial.report(9.0 + x, 0)
        for name, value in attrs.items():
            trial.set_user_attr(name, value)
        study.tell(trial, state=TrialState.PRUNED)
    ledger = Ledger(study.direction)
    ledger.catch_up(study.trials)
    dominated, silent = ledger.best_first()
    assert (dominated.violation, dominated.shown, silent.shown) == (0.0, [9.0], [])
    assert dominated.weight < 1
    assert not dominated.is_candidate
