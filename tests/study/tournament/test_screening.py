"""These tests show which offspring is picked to be measured."""

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import TrialState, create_trial

from study.tournament import TournamentSampler
from study.tournament.configurations import coordinates
from study.tournament.ledger import Ledger
from study.tournament.model.fitting import fit
from study.tournament.screening import BOUND, _bounded, _constraint, screen

SPACE = {"a": IntDistribution(0, 10), "b": CategoricalDistribution("xyz")}
LINE = {"a": IntDistribution(0, 10)}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


# the screen


def ledger_of(rows, space, direction="minimize", monotone=None):
    """Return a ledger of rows of params, value or None for pruned, and constraints."""
    study = optuna.create_study(direction=direction)
    for params, value, constraints in rows:
        result = {"value": value} if value is not None else {"state": TrialState.PRUNED}
        attrs = {f"constraints:{name}": amount for name, amount in constraints.items()}
        axes = {name: space[name] for name in params}
        study.add_trial(
            create_trial(params=params, distributions=axes, system_attrs=attrs, **result)
        )
    ledger = Ledger(study.direction, monotone)
    ledger.catch_up(study.trials)
    return ledger


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_offspring_at_the_good_end_is_picked(direction):
    sign = 1 if direction == "minimize" else -1
    ledger = ledger_of(
        [({"a": a}, sign * float((a - 7) ** 2), {}) for a in (0, 2, 4, 6, 10)], LINE, direction
    )
    assert screen(ledger, LINE, [{"a": 1}, {"a": 3}, {"a": 7}, {"a": 9}]) == {"a": 7}


def test_the_only_offspring_is_picked_without_a_model():
    assert screen(ledger_of([], LINE), LINE, [{"a": 3}]) == {"a": 3}


def test_while_little_is_known_the_one_that_tells_most_of_the_others_is_picked():
    everywhere = [{"a": a} for a in range(11)]
    assert screen(ledger_of([], LINE), LINE, everywhere) == {"a": 5}
    ledger = ledger_of([({"a": 2}, 1.0, {})], LINE)
    assert screen(ledger, LINE, everywhere)["a"] in (7, 8)  # and not 10, a corner
    assert screen(ledger, LINE, [{"a": 3}, {"a": 9}, {"a": 0}]) == {"a": 9}


def test_while_little_is_known_what_likely_breaks_a_constraint_is_not_picked():
    ledger = ledger_of([({"a": a}, None, {"memory": a - 3.5}) for a in (5, 8)], LINE)
    assert screen(ledger, LINE, [{"a": a} for a in (10, 9, 7, 6, 1)]) == {"a": 1}


def test_what_likely_breaks_a_constraint_is_not_picked():
    rows = [
        ({"a": a}, -float(a), {"memory": a - 6.5})
        if a < 7
        else ({"a": a}, None, {"memory": a - 6.5})
        for a in (0, 2, 4, 8, 10)
    ]
    assert screen(ledger_of(rows, LINE), LINE, [{"a": 9}, {"a": 5}, {"a": 1}]) == {"a": 5}


def test_who_names_no_constraint_and_broke_none_has_met_it():
    rows = [
        ({"a": a}, -float(a), {}) if a < 7 else ({"a": a}, None, {"memory": a - 6.5})
        for a in (0, 2, 4, 8, 10)
    ]
    members = ledger_of(rows, LINE).best_first()
    x = coordinates(LINE, [{"a": 9}, {"a": 5}, {"a": 1}])
    broken, near, far = _constraint("memory", members, LINE, np.array([False])).below(x, 0.0)
    assert broken < 0.2 and 0.5 < near < far


def test_who_broke_another_constraint_says_nothing_of_those_it_does_not_name():
    rows = [({"a": a}, None, {"memory": a - 6.5}) for a in (8, 10)]
    rows += [({"a": a}, None, {"start": 1.0}) for a in (0, 2)] + [({"a": 4}, 1.0, {})]
    members = ledger_of(rows, LINE).best_first()
    x = coordinates(LINE, [{"a": 9}, {"a": 5}])
    with_them, without = (
        _constraint("memory", some, LINE, np.array([False])).below(x, 0.0)
        for some in (members, [c for c in members if "start" not in c.constraints])
    )
    np.testing.assert_array_equal(with_them, without)


def test_a_silent_prune_warns_of_its_neighbours():
    rows = [
        ({"a": a}, -float(a), {}) if a < 7 else ({"a": a}, None, {}) for a in (0, 2, 4, 5, 8, 10)
    ]
    assert screen(ledger_of(rows, LINE), LINE, [{"a": 9}, {"a": 6}, {"a": 1}]) != {"a": 9}


def test_while_nothing_is_feasible_the_least_infeasible_side_is_picked():
    rows = [({"a": a}, 1.0 if a < 9 else None, {"memory": float(a)}) for a in (3, 5, 7, 9)]
    assert screen(ledger_of(rows, LINE), LINE, [{"a": 10}, {"a": 1}, {"a": 8}]) == {"a": 1}


def test_beside_what_runs_there_is_less_to_learn():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for a in (0, 1, 9, 10):
        study.add_trial(create_trial(params={"a": a}, distributions=LINE, value=1.0 + 0.01 * a))
    ledger = Ledger(study.direction)
    ledger.catch_up(study.trials)
    assert screen(ledger, LINE, [{"a": 4}, {"a": 7}]) == {"a": 4}
    study.enqueue_trial({"a": 4})
    study.ask(LINE)
    ledger.catch_up(study.trials)
    assert screen(ledger, LINE, [{"a": 3}, {"a": 7}]) == {"a": 7}


def left_of(rows, monotone=None):
    """Return a ledger of a line whose places from 0 to 10 are partly measured, and the others."""
    ledger = ledger_of(rows, LINE, monotone=monotone)
    return ledger, [{"a": a} for a in range(11) if {"a": a} not in ledger]


def test_of_all_that_is_left_the_one_after_which_the_best_is_soonest_found_is_picked():
    ledger, left = left_of([({"a": a}, float((a - 7) ** 2), {}) for a in (0, 3, 5, 10)])
    assert screen(ledger, LINE, left, is_whole=True) in ({"a": 6}, {"a": 7})
    backwards = [*reversed(left)]
    assert screen(ledger, LINE, backwards, is_whole=True) == screen(
        ledger, LINE, left, is_whole=True
    )


def test_of_all_that_is_left_what_likely_breaks_a_constraint_is_not_picked():
    rows = [({"a": a}, -float(a), {"memory": a - 6.5}) for a in (0, 2, 4)]
    rows += [({"a": a}, None, {"memory": a - 6.5}) for a in (8, 10)]
    ledger, left = left_of(rows)
    assert screen(ledger, LINE, left, is_whole=True) in ({"a": 5}, {"a": 6})


def test_of_all_that_is_left_what_is_ruled_out_is_doubted():
    rows = [({"a": a}, -float(a), {"memory": -1.0}) for a in (0, 2)]
    rows += [({"a": 7}, None, {"memory": 1.0})]
    ledger, left = left_of(rows, {"memory": {"a": 1}})
    assert not ledger.rules_out(screen(ledger, LINE, left, is_whole=True))


def test_of_all_that_is_left_what_would_be_picked_is_not_where_it_runs():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for a in (0, 2, 8, 10):
        study.add_trial(
            create_trial(params={"a": a}, distributions=LINE, value=float((a - 5) ** 2))
        )
    ledger = Ledger(study.direction)
    ledger.catch_up(study.trials)
    left = [{"a": a} for a in (1, 3, 4, 5, 6, 7, 9)]
    assert screen(ledger, LINE, left, is_whole=True) == {"a": 5}
    study.enqueue_trial({"a": 5})
    study.ask(LINE)
    ledger.catch_up(study.trials)
    left.remove({"a": 5})
    assert screen(ledger, LINE, left, is_whole=True)["a"] in (3, 4, 6, 7)


def test_once_the_best_is_almost_certainly_measured_the_rest_is_measured_all_the_same():
    ledger, left = left_of([({"a": a}, float(abs(a - 5)), {}) for a in range(1, 10)])
    assert screen(ledger, LINE, left, is_whole=True) in left


def test_a_small_space_competes_as_a_whole_and_a_larger_one_by_its_offspring(monkeypatch):
    numbers = []

    def counted(ledger, space, offspring, *, is_whole):
        numbers.append((len(offspring), is_whole))
        return offspring[0]

    monkeypatch.setattr("study.tournament.breeding.screen", counted)
    small = {"a": IntDistribution(1, 8), "b": IntDistribution(1, 8)}
    large = {"a": IntDistribution(1, 13), "b": IntDistribution(1, 5)}
    for space in (small, large):
        numbers.clear()
        study = optuna.create_study(sampler=TournamentSampler(seed=0))
        for _ in range(7):
            trial = study.ask(space)
            study.tell(trial, float(trial.params["a"]))
        if space is small:
            # the first trial's parameters come one by one: nobody knows the space yet
            assert numbers[-6:] == [(n, True) for n in (63, 62, 61, 60, 59, 58)]
        else:
            assert all(n <= 16 and not is_whole for n, is_whole in numbers[-6:])


def test_only_the_best_and_the_newest_are_fitted():
    real = {"a": FloatDistribution(0, 1)}
    ledger = ledger_of([({"a": n / 500}, float(n % 250), {}) for n in range(500)], real)
    members = _bounded(ledger)
    assert len(members) == BOUND
    numbers = [member.first.number for member in members]
    assert len(set(numbers)) == BOUND
    assert set(numbers) >= {0, 250, 1, 251, 499, 498, 480}


def test_coordinates_of_what_is_missing_are_no_numbers():
    rows = coordinates(SPACE, [{"a": 5}, {"b": "z"}, {}])
    assert np.isnan(rows).tolist() == [[False, True], [True, False], [True, True]]


def test_what_a_declared_direction_rules_out_is_doubted_and_not_excluded():
    rows = [({"a": a}, -float(a), {"memory": -1.0}) for a in (0, 2)]
    rows += [({"a": 8}, None, {"memory": 1.0})]
    ledger = ledger_of(rows, LINE, monotone={"memory": {"a": 1}})
    same = ledger_of(rows, LINE)
    near, beyond = {"a": 5}, {"a": 9}
    assert ledger.rules_out(beyond) and not ledger.rules_out(near)
    assert screen(ledger, LINE, [beyond, near]) == near
    wrong = ledger_of(rows, LINE, monotone={"memory": {"a": -1}})
    assert wrong.rules_out({"a": 9}) is wrong.rules_out({"a": 1}) is False  # 0 and 2 have met it
    assert screen(wrong, LINE, [{"a": 1}, near]) == screen(same, LINE, [{"a": 1}, near])


def test_one_that_was_given_up_is_measured_and_tells_less():
    study = optuna.create_study()
    for a in (0, 2, 4, 8, 10):
        trial = study.ask({"a": IntDistribution(a, a)})
        if a == 8:
            trial.report(6.0, 0)
            trial.set_user_attr("pruned", "dominated")
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, float(abs(a - 3)))
    ledger = Ledger(study.direction)
    ledger.catch_up(study.trials)
    given_up = next(member for member in ledger.best_first() if not member.values)
    assert given_up.weight < 1 and given_up.violation == 0
    assert screen(ledger, LINE, [{"a": 9}, {"a": 3}, {"a": 7}]) == {"a": 3}


def test_the_model_is_kept_until_a_trial_ends(monkeypatch):
    fits = []
    monkeypatch.setattr(
        "study.tournament.screening.fit", lambda *arguments: fits.append(0) or fit(*arguments)
    )
    study = optuna.create_study(sampler=TournamentSampler(seed=0))
    space: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in "ab"}
    for _ in range(6):
        study.tell(study.ask(space), 1.0)
    fits.clear()
    batch = [study.ask(space) for _ in range(8)]
    assert len(fits) <= 1
    study.tell(batch[0], 2.0)
    study.ask(space)
    assert len(fits) <= 2
