"""These tests show which configuration is deployed, and which is measured once more."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from study.tournament import compare, recommend, standings
from study.tournament.ledger import Ledger
from study.tournament.model import posterior
from study.tournament.model.fitting import fit
from study.tournament.model.posterior import MOST
from study.tournament.recommendation import LEADERS, to_replicate

SPACE = {"x": CategoricalDistribution(tuple("abcdefgh"))}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def study_of(measured, direction="minimize", space=SPACE):
    """Return a study of rows of params, values, and attributes or constraints of the last trial."""
    study = optuna.create_study(direction=direction)
    for params, values, *attrs in measured:
        for value in values:
            own_attrs = attrs[0] if attrs and value is values[-1] else {}
            result = {"value": value} if value is not None else {"state": TrialState.PRUNED}
            constraints = {k: v for k, v in own_attrs.items() if k.startswith("constraints:")}
            user_attrs = {k: v for k, v in own_attrs.items() if k not in constraints}
            study.add_trial(
                create_trial(
                    params=params,
                    distributions={name: space[name] for name in params},
                    system_attrs=constraints,
                    user_attrs=user_attrs,
                    **result,
                )
            )
    return study


def letters(**values):
    return [({"x": name}, each) for name, each in values.items()]


def next_one(study, running=()):
    ledger = Ledger(study.direction)
    ledger.catch_up(study.trials)
    for member in ledger.best_first():
        member.running = sum(member.first.params == params for params in running)
    member = to_replicate(ledger.best_first(), ledger.space())
    return None if member is None else member.first.params.get("x")


# OCBA


def around(mean, n):
    """Return n values of this mean, spread by about 1."""
    return list(mean + np.tile([-1.0, 1.0], n // 2))


def spent_on(measured, rounds, truth):
    """Count how often each configuration is measured when every round goes where OCBA says."""
    rng = np.random.default_rng(0)
    values = {name: list(each) for name, each in measured.items()}
    for _ in range(rounds):
        name = next_one(study_of(letters(**values)))
        values[name].append(truth[name] + rng.normal())
    return {name: len(each) - len(measured[name]) for name, each in values.items()}


def test_close_rivals_are_measured_more_than_far_ones():
    truth = {"a": 0.0, "b": 0.5, "c": 6.0, "d": 9.0}
    spent = spent_on({name: around(mean, 4) for name, mean in truth.items()}, 24, truth)
    assert min(spent["a"], spent["b"]) > 4 * max(spent["c"], spent["d"])


def test_the_one_measured_less_of_two_equal_ones_is_next():
    assert next_one(study_of(letters(a=around(1, 8), b=around(1, 2), c=around(50, 4)))) == "b"


def test_one_that_runs_counts_as_measured():
    study = study_of(letters(a=around(0, 6), b=around(0.2, 6)))
    one = next_one(study)
    assert next_one(study, running=[{"x": one}] * 3) != one


def test_a_spent_one_is_not_measured_again():
    measured = letters(a=around(0, 4), b=around(0.1, 4), c=around(0.3, 4))
    spent = [(params, values, {"spent": True}) for params, values in measured]
    assert next_one(study_of([*spent[:1], *measured[1:]])) in {"b", "c"}
    assert next_one(study_of([*spent[:2], *measured[2:]])) == "c"
    assert next_one(study_of(spent)) is None


def test_what_broke_a_constraint_or_has_no_finite_mean_is_not_measured_again():
    broken = ({"x": "a"}, [0.0], {"constraints:memory": 1.0})
    endless = ({"x": "b"}, [math.inf])
    pruned = ({"x": "c"}, [None])
    assert next_one(study_of([broken, endless, pruned, ({"x": "d"}, [9.0])])) == "d"
    assert next_one(study_of([broken, endless, pruned])) is None


def test_nothing_is_measured_again_where_nothing_was_measured():
    assert next_one(optuna.create_study()) is None


def test_equal_values_everywhere_are_measured_evenly():
    spent = spent_on({name: [1.0] for name in "abcd"}, 0, {})
    study = study_of(letters(a=[1.0, 1.0], b=[1.0], c=[1.0, 1.0], d=[1.0, 1.0]))
    assert spent == dict.fromkeys("abcd", 0)
    assert next_one(study) in {"a", "b"}  # the best by rank may get more, the others stay even


def test_no_more_than_the_leaders_are_compared():
    space = {"x": FloatDistribution(0, 1)}
    study = study_of([({"x": n / 300}, [float(n)]) for n in range(300)], space=space)
    assert len(standings(study)) == LEADERS
    assert next_one(study) < LEADERS / 300


# the recommendation


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_best_mean_is_recommended_in_the_direction_and_unit_of_the_study(direction):
    sign = 1 if direction == "minimize" else -1
    noise = np.random.default_rng(0).normal(0, 0.1, (3, 6))
    values = {
        name: list(sign * (mean + row))
        for name, mean, row in zip("abc", (3.0, 1.0, 2.0), noise, strict=True)
    }
    ranking = standings(study_of(letters(**values), direction))
    assert [each.params["x"] for each in ranking] == ["b", "c", "a"]
    assert [each.mean for each in ranking] == pytest.approx(
        [sign * 1.0, sign * 2.0, sign * 3.0], abs=0.2
    )
    assert ranking[0].raw_mean == pytest.approx(np.mean(values["b"]))
    assert [each.n for each in ranking] == [6, 6, 6]
    assert ranking[0].probability_best > 0.95
    assert all(0 < each.standard_error < 0.2 for each in ranking)


def test_a_lucky_trial_is_not_recommended_over_a_solid_mean():
    noise = np.random.default_rng(1).normal(0, 1.0, (6, 8))
    solid = {name: list(5.0 + row) for name, row in zip("bcdefg", noise, strict=True)}
    solid["b"] = list(3.0 + noise[0])
    lucky = 2.7
    study = study_of(letters(a=[lucky], **solid))
    assert lucky < np.mean(solid["b"])
    assert recommend(study).params == {"x": "b"}
    assert {each.params["x"]: each.n for each in standings(study)}["a"] == 1


def test_what_broke_a_constraint_is_never_recommended():
    best = ({"x": "a"}, [0.0, 0.0], {"constraints:memory": 0.1})
    study = study_of([best, ({"x": "b"}, [9.0]), ({"x": "c"}, [8.0, None]), ({"x": "d"}, [10.0])])
    assert [each.params["x"] for each in standings(study)] == ["b", "d"]


def test_the_probabilities_of_being_the_best_add_up_to_one():
    rng = np.random.default_rng(2)
    ranking = standings(
        study_of(letters(**{name: list(rng.normal(size=3)) for name in "abcdefgh"}))
    )
    assert sum(each.probability_best for each in ranking) == pytest.approx(1.0)
    assert max(ranking, key=lambda each: each.probability_best) in ranking[:3]


def test_equals_share_the_probability():
    values = around(0, 8)
    ranking = standings(study_of(letters(a=values, b=values)))
    assert [each.probability_best for each in ranking] == pytest.approx([0.5, 0.5], abs=0.05)


def test_one_trial_is_recommended_for_certain():
    recommendation = recommend(study_of(letters(a=[4.0])))
    assert (
        recommendation.params,
        recommendation.mean,
        recommendation.raw_mean,
        recommendation.n,
    ) == ({"x": "a"}, 4.0, 4.0, 1)
    assert recommendation.probability_best == 1.0


def test_the_only_configuration_has_the_standard_error_of_its_measurements():
    recommendation = recommend(study_of(letters(a=[1.0, 2.0, 3.0, 6.0])))
    assert recommendation.mean == recommendation.raw_mean == 3.0
    assert recommendation.standard_error == pytest.approx(np.std([1, 2, 3, 6], ddof=1) / 2)


@pytest.mark.parametrize(
    "measured",
    [
        [],
        [({"x": "a"}, [None])],
        [({"x": "a"}, [1.0], {"constraints:memory": 1.0})],
        [({"x": "a"}, [math.inf])],
    ],
    ids=["no trial", "only pruned", "only infeasible", "only infinite"],
)
def test_where_nothing_is_feasible_nothing_is_recommended_and_said_why(measured):
    with pytest.raises(
        ValueError, match=r"^no trial is complete and feasible, so nothing can be recommended$"
    ):
        recommend(study_of(measured))


def test_equal_values_are_recommended_with_their_value():
    ranking = standings(study_of(letters(a=[2.0, 2.0], b=[2.0], c=[2.0])))
    assert [each.mean for each in ranking] == pytest.approx([2.0] * 3)
    assert sum(each.probability_best for each in ranking) == pytest.approx(1.0)


def test_an_infinite_measurement_excludes_its_configuration():
    ranking = standings(study_of(letters(a=[0.0, math.inf], b=[1.0], c=[-math.inf], d=[2.0])))
    assert [each.params["x"] for each in ranking] == ["b", "d"]


def test_a_repeated_value_is_counted_once():
    study = study_of(
        [({"x": "a"}, [1.0]), ({"x": "a"}, [1.0], {"repeat_of": 0}), ({"x": "b"}, [2.0])]
    )
    assert {each.params["x"]: each.n for each in standings(study)} == {"a": 1, "b": 1}


@pytest.mark.parametrize("unit", [1e-9, 1e9, 1e15])
def test_the_unit_does_not_matter(unit):
    rng = np.random.default_rng(3)
    values = {name: rng.normal(k, 1, 4) for k, name in enumerate("abcdef")}
    plain = standings(study_of(letters(**{name: list(each) for name, each in values.items()})))
    scaled = standings(
        study_of(letters(**{name: list(unit * each) for name, each in values.items()}))
    )
    assert [each.params for each in scaled] == [each.params for each in plain]
    assert [each.mean / unit for each in scaled] == pytest.approx(
        [each.mean for each in plain], rel=1e-6
    )
    assert [each.probability_best for each in scaled] == pytest.approx(
        [each.probability_best for each in plain], abs=0.02
    )


def test_it_reads_a_study_of_any_sampler_and_the_same_twice():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    rng = np.random.default_rng(0)
    space = {"x": IntDistribution(0, 4), "y": FloatDistribution(1e-3, 1, log=True)}
    for _ in range(40):
        trial = study.ask(space)
        study.tell(trial, (trial.params["x"] - 2) ** 2 + rng.normal(0, 0.1))
    assert recommend(study).params["x"] == 2
    assert standings(study) == standings(study)


@pytest.mark.parametrize("kind", ["smooth", "rough"])
def test_what_is_recommended_of_fifteen_is_better_than_the_luckiest_trial(kind):
    def chosen(seed):
        rng = np.random.default_rng(seed)
        truth = (
            np.linspace(-0.5, 1, 15) ** 2
            if kind == "smooth"
            else rng.permutation(np.linspace(0, 1, 15))
        )
        measured = [
            ({"x": x}, [truth[x] + rng.normal(0, 0.15) for _ in range(3)]) for x in range(15)
        ]
        study = study_of(measured, space={"x": IntDistribution(0, 14)})
        return truth[recommend(study).params["x"]], truth[study.best_trial.params["x"]]

    ours, luckiest = np.mean([chosen(seed) for seed in range(60)], axis=0)
    assert ours < 0.9 * luckiest


def many(seed, count, best):
    """Return more configurations than one process is fitted to, with noise, and the best of all."""
    rng = np.random.default_rng(seed)
    truth = (np.linspace(0, 1, count) - best) ** 2
    measured = [({"x": x}, [truth[x] + rng.normal(0, 0.02)]) for x in range(count)]
    return measured, {"x": IntDistribution(0, count - 1)}, truth


@pytest.mark.parametrize("best", [0.0, 0.37, 1.0])
def test_of_many_configurations_one_near_the_best_stands_first(best):
    measured, space, truth = many(1, 5 * MOST, best)
    ranking = compare(measured, space)
    assert len(ranking) == len(measured)
    assert truth[ranking[0].params["x"]] < 0.003
    assert sum(each.probability_best for each in ranking) == pytest.approx(1)
    worst = np.mean([truth[each.params["x"]] for each in ranking[-50:]])
    assert worst > np.quantile(truth, 0.85)


def test_of_many_only_what_may_be_the_best_is_the_best():
    measured, space, _ = many(2, 3 * MOST, 0.5)
    may = [abs(x / len(measured) - 0.5) > 0.2 for x in range(len(measured))]
    likely = [each for each in compare(measured, space, among=may) if each.probability_best > 0]
    assert likely and all(may[each.params["x"]] for each in likely)


def test_what_a_process_is_fitted_to_is_bounded(monkeypatch):
    rows = []

    def counting(x, *rest):
        rows.append(len(x))
        return fit(x, *rest)

    monkeypatch.setattr(posterior, "fit", counting)
    for count in (MOST, 20 * MOST):
        rows.clear()
        measured, space, _ = many(3, count, 0.4)
        compare(measured, space)
        assert len(rows) <= 2 and max(rows) <= MOST
