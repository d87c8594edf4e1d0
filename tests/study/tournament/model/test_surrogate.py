"""These tests hold the Gaussian process to the formulas of a textbook."""

import math

import numpy as np
import pytest

from study.tournament.model.fitting import HEARD, JITTER, MOST, MOST_LISTED, fit
from study.tournament.model.improvement import expected_improvement, normal_cdf
from study.tournament.model.shape import listed
from study.tournament.model.surrogate import NEAR


def random_rows(rng, n, d=3):
    """Return rows with a category in the last column, a few without the first parameter."""
    x = rng.random((n, d))
    x[:, -1] = rng.integers(3, size=n)
    x[rng.random(n) < 0.2, 0] = np.nan
    return x


def naive_kernel(a, b, shape):
    """Compute Matern 5/2 for one pair and one parameter at a time."""
    k = np.empty((len(a), len(b)))
    for i, p in enumerate(a):
        for j, q in enumerate(b):
            total = 0.0
            apart = [
                (0.5 if math.isnan(u) else u) - (0.5 if math.isnan(v) else v)
                for u, v in zip(p, q, strict=True)
            ]
            absent = [math.isnan(u) != math.isnan(v) for u, v in zip(p, q, strict=True)]
            for d, (scale, is_ordered) in enumerate(zip(shape.scales, shape.ordered, strict=True)):
                leaning = [(other, s) for one, other, s in shape.slants if one == d]
                gap = apart[d] - sum(s * apart[other] for other, s in leaning)
                alone = absent[d] + sum(s * s * absent[other] for other, s in leaning)
                differs = apart[d] != 0 or absent[d]
                total += (gap**2 + 0.75 * alone if is_ordered else float(differs)) / scale**2
            r = math.sqrt(5 * total)
            k[i, j] = (1 + r + r * r / 3) * math.exp(-r)
    return k


def by_the_book(surrogate, counts, new):
    """Return the mean and covariance of a mixture of processes at new rows.

    The prior mean is not known either: Rasmussen and Williams 2006, equation 2.42.
    """
    means, covariances = [], []
    for shape, mean, signal in zip(surrogate.shapes, surrogate.mean, surrogate.signal, strict=True):
        k, cross, prior = (
            naive_kernel(p, q, shape)
            for p, q in ((surrogate.x, surrogate.x), (surrogate.x, new), (new, new))
        )
        a = signal * (k + np.diag(shape.noise / counts + JITTER))
        means.append(mean + signal * cross.T @ np.linalg.solve(a, surrogate.y - mean))
        ones = np.linalg.solve(a, np.ones(len(a)))
        off = 1 - signal * cross.T @ ones
        known = signal * prior - signal**2 * cross.T @ np.linalg.solve(a, cross)
        covariances.append(known + np.outer(off, off) / ones.sum())
    mean = surrogate.weights @ np.array(means)
    off = np.array(means) - mean
    both = np.array(covariances) + off[:, :, None] * off[:, None, :]
    return mean, np.tensordot(surrogate.weights, both, 1)


IS_CATEGORY = np.array([False, False, True])


# the surrogate


@pytest.mark.parametrize("seed", range(8))
def test_the_posterior_is_that_of_the_textbook(seed):
    rng = np.random.default_rng(seed)
    x, new, counts = random_rows(rng, 12), random_rows(rng, 5), rng.integers(1, 5, 12).astype(float)
    surrogate = fit(x, IS_CATEGORY, rng.normal(3, 2, 12), counts, within=4.0)
    mean, covariance = by_the_book(surrogate, counts, new)
    got, sd = surrogate.predict(new)
    np.testing.assert_allclose(got, mean, rtol=1e-6)
    np.testing.assert_allclose(sd, np.sqrt(np.diag(covariance)), rtol=1e-5)
    np.testing.assert_allclose(surrogate.joint(new)[0], mean, rtol=1e-6)
    np.testing.assert_allclose(
        surrogate.joint(new)[1], covariance, atol=1e-6 * surrogate.signal.max()
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_mean_with_its_count_tells_what_as_many_rows_do(seed):
    rng = np.random.default_rng(seed)
    x, new, counts = random_rows(rng, 8), random_rows(rng, 6), rng.integers(1, 6, 8)
    truth = rng.normal(0, 1, 8)
    rows = [truth[i] + rng.normal(0, 0.5, counts[i]) for i in range(8)]
    y = np.array([row.mean() for row in rows])
    within = sum(((row - row.mean()) ** 2).sum() for row in rows)
    short = fit(x, IS_CATEGORY, y, counts.astype(float), within)
    repeated, values = np.repeat(np.arange(8), counts), np.concatenate(rows)
    means, sds = short.by_shape(new)
    for k, (shape, signal) in enumerate(zip(short.shapes, short.signal, strict=True)):
        a = signal * naive_kernel(x[repeated], x[repeated], shape)
        a += signal * shape.noise * np.eye(len(repeated))
        ones = np.linalg.solve(a, np.ones(len(a)))
        assert short.mean[k] == pytest.approx(ones @ values / ones.sum(), rel=1e-3, abs=1e-3)
        cross = signal * naive_kernel(x[repeated], new, shape)
        solved = np.linalg.solve(a, values - short.mean[k])
        np.testing.assert_allclose(means[k], short.mean[k] + cross.T @ solved, rtol=1e-3, atol=1e-3)
        variance = signal - np.einsum("ij,ij->j", cross, np.linalg.solve(a, cross))
        variance += (1 - cross.T @ ones) ** 2 / ones.sum()
        np.testing.assert_allclose(sds[k], np.sqrt(variance), rtol=1e-2)


def test_a_row_that_counts_less_pulls_less():
    x, y = np.array([[0.0], [0.45], [0.55], [1.0]]), np.array([0.0, 1.0, 0.0, 0.0])
    at = np.array([[0.45]])
    whole, part = (
        fit(x, np.array([False]), y, np.array([1.0, count, 1.0, 1.0])).predict(at)[0][0]
        for count in (1.0, 0.1)
    )
    assert part < whole


def test_those_that_explain_the_data_speak_and_no_others():
    rng = np.random.default_rng(0)
    x = rng.random((30, 2))
    few, many = (fit(x[:n], np.zeros(2, bool), np.sin(3 * x[:n, 0])) for n in (4, 30))
    for surrogate in (few, many):
        assert surrogate.weights.sum() == pytest.approx(1.0)
        assert surrogate.weights.min() / surrogate.weights.max() >= HEARD
    assert len(few.shapes) <= MOST_LISTED and len(many.shapes) <= MOST
    assert len(few.shapes) > 6  # four values tell them not apart
    scales = [shape.scales for shape in many.shapes]
    assert min(other / one for one, other in scales) > 2  # the second parameter does not matter


def test_the_order_of_a_category_is_seen_where_it_tells():
    x = np.column_stack([np.tile(np.linspace(0, 1, 5), 6), np.repeat(np.linspace(0, 1, 6), 5)])
    is_category = np.array([False, True])
    in_order = fit(x, is_category, x[:, 0] + 2 * x[:, 1])
    rng = np.random.default_rng(0)
    heights = rng.permutation([0.0, 3.0, 1.0, 4.0, 2.0, 5.0])
    in_none = fit(x, is_category, x[:, 0] + 2 * np.repeat(heights, 5))
    assert all(shape.ordered[1] for shape in in_order.shapes)
    assert not any(shape.ordered[1] for shape in in_none.shapes)


def test_a_ridge_aslant_is_seen():
    x = np.array([(a, b) for a in np.linspace(0, 1, 7) for b in np.linspace(0, 1, 4)])
    surrogate = fit(x, np.zeros(2, bool), -np.exp(-(((x[:, 0] - x[:, 1]) / 0.3) ** 2)))
    assert surrogate.weights[[bool(shape.slants) for shape in surrogate.shapes]].sum() > 0.9


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
    surrogate = fit(x, np.array([False]), np.array([1.0, 2.0, 3.0]))
    mean, sd = surrogate.predict(np.array([[100.0]]))
    assert mean[0] == pytest.approx(2.0, abs=0.05)
    assert sd[0] >= 0.99 * math.sqrt(surrogate.signal.min())


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
    surrogate = fit(np.zeros((n, 2)), np.array([False, True]), np.full(n, 7.0))
    mean, sd = surrogate.predict(np.array([[0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(mean, 7.0)
    assert np.isfinite(sd).all()
    assert sd[0] < sd[1]


def test_what_is_pending_leaves_less_to_learn_as_a_measurement_there_would():
    rng = np.random.default_rng(2)
    x, pending, new = random_rows(rng, 10), random_rows(rng, 3), random_rows(rng, 20)
    surrogate = fit(x, IS_CATEGORY, rng.normal(size=10))
    _, before = surrogate.by_shape(new)
    left = before**2 - surrogate.signal[:, None] * surrogate._lost_variance(
        pending, surrogate._known(new)
    )
    for k, shape in enumerate(surrogate.shapes):
        both, n = np.vstack([x, pending]), len(x)
        a = naive_kernel(both, both, shape)
        a += np.diag([shape.noise + JITTER] * n + [1e-6] * len(pending))
        cross = naive_kernel(both, new, shape)
        ones = np.linalg.solve(a, np.ones(len(a)))
        variance = 1 - np.einsum("ij,ij->j", cross, np.linalg.solve(a, cross))
        variance += (1 - cross.T @ ones) ** 2 / ones.sum()  # the mean is not known either
        variance *= surrogate.signal[k]
        np.testing.assert_allclose(left[k], variance, rtol=1e-4, atol=1e-8 * surrogate.signal[k])
    best = float(surrogate.predict(x)[0].min())
    alone, beside = (surrogate.improvement(new, best, rows) for rows in (np.empty((0, 3)), pending))
    assert (beside <= alone + 1e-12).all()
    assert beside.sum() < alone.sum()


def test_of_many_that_are_pending_the_nearest_count():
    x, y = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0])
    surrogate = fit(x, np.zeros(2, bool), y)
    known = surrogate._known(np.array([[0.5, 0.5]]))
    near, far = np.full((NEAR, 2), 0.5) + np.arange(NEAR)[:, None] / 1e4, np.full((90, 2), 0.9)
    np.testing.assert_allclose(
        surrogate._lost_variance(np.vstack([far, near]), known),
        surrogate._lost_variance(near, known),
        rtol=1e-6,
    )


def test_the_same_trial_running_many_times_can_be_believed():
    surrogate = fit(np.array([[0.0], [1.0]]), np.array([False]), np.array([0.0, 1.0]))
    at_home, beside = surrogate.improvement(np.array([[0.5], [0.25]]), 0.0, np.full((20, 1), 0.5))
    assert 0 <= at_home < beside


def test_draws_are_what_the_process_says_of_all_rows_together():
    rng = np.random.default_rng(4)
    x, new = random_rows(rng, 6, d=2), random_rows(rng, 4, d=2)
    surrogate = fit(x, IS_CATEGORY[1:], rng.normal(size=6))
    values, seen = surrogate.draws(new, 60_000, np.random.default_rng(0))
    mean, covariance = surrogate.joint(new)
    scale = float(np.sqrt(np.diag(covariance).max()))
    np.testing.assert_allclose(values.mean(0), mean, atol=0.03 * scale)
    np.testing.assert_allclose(np.cov(values.T), covariance, atol=0.04 * scale**2)
    noise = seen - values
    assert noise.var() == pytest.approx(surrogate.noise, rel=0.05)
    assert abs(np.corrcoef(noise[:, 0], noise[:, 1])[0, 1]) < 0.03


def test_few_measurements_are_explained_by_shapes_of_a_short_list():
    x = np.array([(0.5, 0.5), (0.25, 0.0), (0.75, 1.0), (0.0, 0.5), (1.0, 0.0)])
    is_category = np.array([False, True])
    y = np.array([0.0, 0.1, 0.1, 1.0, 1.0])  # low along a slant
    surrogate = fit(x, is_category, y)
    assert set(surrogate.shapes) <= set(listed((True, False), (1,)))
    assert {bool(shape.slants) for shape in surrogate.shapes} == {True, False}
    assert {shape.ordered[1] for shape in surrogate.shapes} == {True, False}
    # noise that replicates tell of is between those of the list
    assert not set(fit(x, is_category, y, np.full(5, 2.0), 1.0).shapes) <= set(
        listed((True, False), (1,))
    )


# expected improvement


@pytest.mark.parametrize(
    ("mean", "sd", "best"), [(0.0, 1.0, 0.0), (1.0, 0.5, 0.2), (-3.0, 2.0, -1.0), (5.0, 1.0, 4.9)]
)
def test_expected_improvement_is_what_draws_give(mean, sd, best):
    draws = np.random.default_rng(0).normal(mean, sd, 400_000)
    drawn = np.maximum(best - draws, 0).mean()
    (improvement,) = expected_improvement(np.array([mean]), np.array([sd]), best)
    assert improvement == pytest.approx(drawn, rel=0.02)


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
