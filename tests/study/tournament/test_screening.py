"""These tests hold the Gaussian process to textbook formulas, and show which offspring it picks."""

import math

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from study.tournament.configurations import coordinates
from study.tournament.ledger import Ledger
from study.tournament.screening import BOUND, _bounded, _is_met, screen
from study.tournament.surrogate import JITTER, expected_improvement, fit, gaps, matern, normal_cdf

SPACE = {"a": IntDistribution(0, 10), "b": CategoricalDistribution("xyz")}
LINE = {"a": IntDistribution(0, 10)}


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def random_rows(rng, n, d=3):
    """Return rows with a category in the last column, a few without the first parameter."""
    x = rng.random((n, d))
    x[:, -1] = rng.integers(3, size=n)
    x[rng.random(n) < 0.2, 0] = np.nan
    return x


def naive_kernel(a, b, scales, is_category):
    """Compute Matern 5/2 for one pair and one parameter at a time."""
    k = np.empty((len(a), len(b)))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            total = 0.0
            for u, v, scale, category in zip(p, q, scales, is_category, strict=True):
                one, other = (0.5 if math.isnan(w) else w for w in (u, v))
                apart = 0.75 * (math.isnan(u) != math.isnan(v))
                total += (
                    float(one != other) if category else (one - other) ** 2 + apart
                ) / scale**2
            r = math.sqrt(5 * total)
            k[i, j] = (1 + r + r * r / 3) * math.exp(-r)
    return k


IS_CATEGORY = np.array([False, False, True])


# the surrogate


@pytest.mark.parametrize("seed", range(8))
def test_the_posterior_is_that_of_the_textbook(seed):
    rng = np.random.default_rng(seed)
    x, new, counts = random_rows(rng, 12), random_rows(rng, 5), rng.integers(1, 5, 12).astype(float)
    y = rng.normal(3, 2, 12)
    found = fit(x, IS_CATEGORY, y, counts, within=4.0)
    k, cross, prior = (
        naive_kernel(p, q, found.scales, IS_CATEGORY) for p, q in ((x, x), (x, new), (new, new))
    )
    a = found.signal * k + np.diag(found.noise / counts + JITTER * found.signal)
    mean = found.mean + found.signal * cross.T @ np.linalg.solve(a, y - found.mean)
    covariance = found.signal * prior - found.signal**2 * cross.T @ np.linalg.solve(a, cross)
    got, sd = found.predict(new)
    np.testing.assert_allclose(got, mean, rtol=1e-8)
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)), rtol=1e-6)
    np.testing.assert_allclose(found.joint(new)[0], mean, rtol=1e-8)
    np.testing.assert_allclose(found.joint(new)[1], covariance, atol=1e-8 * found.signal)


@pytest.mark.parametrize("seed", range(8))
def test_a_mean_with_its_count_tells_what_as_many_rows_do(seed):
    rng = np.random.default_rng(seed)
    x, new, counts = random_rows(rng, 8), random_rows(rng, 6), rng.integers(1, 6, 8)
    truth = rng.normal(0, 1, 8)
    rows = [truth[i] + rng.normal(0, 0.5, counts[i]) for i in range(8)]
    y = np.array([row.mean() for row in rows])
    within = sum(((row - row.mean()) ** 2).sum() for row in rows)
    short = fit(x, IS_CATEGORY, y, counts.astype(float), within)
    repeated = np.repeat(np.arange(8), counts)
    a = short.signal * naive_kernel(x[repeated], x[repeated], short.scales, IS_CATEGORY)
    a += short.noise * np.eye(len(repeated))
    cross = short.signal * naive_kernel(x[repeated], new, short.scales, IS_CATEGORY)
    solved = np.linalg.solve(a, np.concatenate(rows) - short.mean)
    mean, sd = short.predict(new)
    np.testing.assert_allclose(mean, short.mean + cross.T @ solved, rtol=1e-4, atol=1e-4)
    variance = short.signal - np.einsum("ij,ij->j", cross, np.linalg.solve(a, cross))
    np.testing.assert_allclose(sd, np.sqrt(variance), rtol=1e-3)
    assert short.mean == pytest.approx(np.concatenate(rows).mean())


def test_the_noise_of_replicates_is_found():
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 15)[:, None]
    rows = [10 * v + rng.normal(0, 0.4, 8) for v in x[:, 0]]
    y = np.array([row.mean() for row in rows])
    within = sum(((row - row.mean()) ** 2).sum() for row in rows)
    assert 0.2 < math.sqrt(fit(x, np.array([False]), y, np.full(15, 8.0), within).noise) < 1.0


def test_a_process_without_noise_goes_through_its_points():
    x = np.linspace(0, 1, 8)[:, None]
    y = np.sin(4 * x[:, 0])
    mean, sd = fit(x, np.array([False]), y).predict(x)
    np.testing.assert_allclose(mean, y, atol=0.01)
    assert (sd < 0.05).all()


def test_far_from_all_points_it_knows_the_mean_only():
    x = np.array([[0.0], [0.01], [0.02]])
    found = fit(x, np.array([False]), np.array([1.0, 2.0, 3.0]))
    mean, sd = found.predict(np.array([[100.0]]))
    assert mean[0] == pytest.approx(2.0, abs=0.01)
    assert sd[0] == pytest.approx(math.sqrt(found.signal), rel=0.01)


def test_what_it_says_does_not_depend_on_the_unit():
    rng = np.random.default_rng(1)
    x, new, y = random_rows(rng, 10), random_rows(rng, 4), rng.normal(size=10)
    mean, sd = fit(x, IS_CATEGORY, y).predict(new)
    for unit, zero in ((1e-6, 0.0), (1e9, 0.0), (1000.0, 5000.0)):
        scaled_mean, scaled_sd = fit(x, IS_CATEGORY, zero + unit * y).predict(new)
        np.testing.assert_allclose(scaled_mean, zero + unit * mean, rtol=1e-6)
        np.testing.assert_allclose(scaled_sd, unit * sd, rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 64])
def test_equal_rows_and_equal_values_can_be_fitted(n):
    found = fit(np.zeros((n, 2)), np.array([False, True]), np.full(n, 7.0))
    mean, sd = found.predict(np.array([[0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(mean, 7.0)
    assert np.isfinite(sd).all()
    assert sd[0] < sd[1]


def test_believing_changes_no_mean_and_leaves_less_to_learn():
    rng = np.random.default_rng(2)
    x, pending, new = random_rows(rng, 10), random_rows(rng, 3), random_rows(rng, 20)
    before = fit(x, IS_CATEGORY, rng.normal(size=10))
    after = before.believing(pending)
    np.testing.assert_allclose(after.predict(new)[0], before.predict(new)[0], atol=1e-4)
    assert (after.predict(new)[1] <= before.predict(new)[1] + 1e-9).all()
    assert (after.predict(pending)[1] < 1e-3 * math.sqrt(before.signal)).all()
    assert before.believing(np.empty((0, 3))) is before


def test_the_same_trial_running_many_times_can_be_believed():
    before = fit(np.array([[0.0], [1.0]]), np.array([False]), np.array([0.0, 1.0]))
    mean, sd = before.believing(np.full((20, 1), 0.5)).predict(np.array([[0.5], [0.25]]))
    assert np.isfinite(mean).all()
    assert sd[0] < sd[1]


def test_a_missing_parameter_is_far_from_every_present_one():
    a, b = (
        np.array([[0.25, 2.0, np.nan]]),
        np.array([[0.75, 0.0, np.nan], [np.nan, 2.0, 0.5], [0.25, np.nan, 1.0]]),
    )
    squared = gaps(a, b, np.array([False, True, False]))[:, 0]
    assert squared.tolist() == [[0.25, 0.8125, 0.0], [1.0, 0.0, 1.0], [0.0, 0.75, 1.0]]


@pytest.mark.parametrize("seed", range(20))
def test_there_is_a_process_over_rows_that_lack_parameters(seed):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((40, 4)) < 0.5, np.nan, rng.random((40, 4)))
    x[:, 3] = np.where(np.isnan(x[:, 3]), np.nan, np.round(2 * x[:, 3]))
    is_category = np.array([False, False, False, True])
    for scale in (0.05, 1.0, 20.0):
        assert np.linalg.eigvalsh(matern(gaps(x, x, is_category).sum(0) / scale**2)).min() > -1e-12
    found = fit(x, is_category, rng.normal(size=40))
    assert all(np.isfinite(each).all() for each in found.predict(x))


def test_the_kernel_is_one_at_home_and_falls():
    values = matern(np.linspace(0, 9, 50))
    assert values[0] == 1.0
    assert (np.diff(values) < 0).all()


# expected improvement


@pytest.mark.parametrize(
    ("mean", "sd", "best"), [(0.0, 1.0, 0.0), (1.0, 0.5, 0.2), (-3.0, 2.0, -1.0), (5.0, 1.0, 4.9)]
)
def test_expected_improvement_is_what_draws_give(mean, sd, best):
    draws = np.random.default_rng(0).normal(mean, sd, 400_000)
    drawn = np.maximum(best - draws, 0).mean()
    (found,) = expected_improvement(np.array([mean]), np.array([sd]), best)
    assert found == pytest.approx(drawn, rel=0.02)


def test_expected_improvement_grows_with_hope_and_with_doubt_and_is_never_negative():
    doubt = np.linspace(1e-6, 3, 30)
    assert (np.diff(expected_improvement(np.zeros(30), doubt, -0.5)) > -1e-15).all()
    assert (np.diff(expected_improvement(np.linspace(-3, 3, 30), np.ones(30), 0.0)) < 0).all()
    extremes = expected_improvement(np.array([1e6, -1e6, 0.0]), np.array([1e-9, 1e-9, 1e-9]), 0.0)
    assert (extremes >= 0).all()
    assert extremes[1] == pytest.approx(1e6)


def test_the_normal_distribution_is_that_of_the_tables():
    np.testing.assert_allclose(
        normal_cdf(np.array([-40, -1.959964, 0, 1.0])), [0, 0.025, 0.5, 0.8413447], atol=1e-6
    )


# the screen


def ledger_of(rows, space, direction="minimize", monotone=None):
    """Return a ledger of rows of params, value or None for pruned, and constraints."""
    study = optuna.create_study(direction=direction)
    for params, value, constraints in rows:
        told = {"value": value} if value is not None else {"state": TrialState.PRUNED}
        attrs = {f"constraints:{name}": amount for name, amount in constraints.items()}
        axes = {name: space[name] for name in params}
        study.add_trial(create_trial(params=params, distributions=axes, system_attrs=attrs, **told))
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


def test_while_little_is_known_the_farthest_is_picked():
    ledger = ledger_of([({"a": 2}, 1.0, {})], LINE)
    assert screen(ledger, LINE, [{"a": 3}, {"a": 9}, {"a": 0}]) == {"a": 9}
    nothing = ledger_of([], LINE)
    assert screen(nothing, LINE, [{"a": 3}, {"a": 9}]) == {"a": 3}


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
    cells = ledger_of(rows, LINE).best_first()
    x = coordinates(LINE, [{"a": 9}, {"a": 5}, {"a": 1}])
    broken, near, far = _is_met("memory", cells, LINE, np.array([False]), x)
    assert broken < 0.2 and 0.5 < near < far


def test_who_broke_another_constraint_says_nothing_of_those_it_does_not_name():
    rows = [({"a": a}, None, {"memory": a - 6.5}) for a in (8, 10)]
    rows += [({"a": a}, None, {"start": 1.0}) for a in (0, 2)] + [({"a": 4}, 1.0, {})]
    cells = ledger_of(rows, LINE).best_first()
    x = coordinates(LINE, [{"a": 9}, {"a": 5}])
    with_them, without = (
        _is_met("memory", some, LINE, np.array([False]), x)
        for some in (cells, [c for c in cells if "start" not in c.constraints])
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


def test_only_the_best_and_the_newest_are_fitted():
    real = {"a": FloatDistribution(0, 1)}
    ledger = ledger_of([({"a": n / 500}, float(n % 250), {}) for n in range(500)], real)
    cells = _bounded(ledger)
    assert len(cells) == BOUND
    numbers = [cell.first.number for cell in cells]
    assert len(set(numbers)) == BOUND
    assert set(numbers) >= {0, 250, 1, 251, 499, 498, 480}


def test_coordinates_of_what_is_missing_are_no_numbers():
    rows = coordinates(SPACE, [{"a": 5}, {"b": "z"}, {}])
    assert np.isnan(rows).tolist() == [[False, True], [True, False], [True, True]]
