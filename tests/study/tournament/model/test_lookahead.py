"""These tests show what is measured next where all that is left can be listed."""

import itertools

import numpy as np
import pytest

from study.tournament.model.lookahead import ENOUGH, trials_left

N = 960


def table(best, hint=None):
    """Return draws of four doors with the prize behind one, and a fifth that may tell which."""
    values = np.ones((len(best), 5))
    values[np.arange(len(best)), best] = 0.0
    values[:, 4] = 10.0 if hint is None else 10.0 + hint
    return values


def expected(values, seen, is_open):
    """Return what `trials_left` does where it tells anything."""
    left = trials_left(values, seen, is_open)
    assert left is not None
    return left


def test_what_tells_where_the_best_is_comes_first_though_it_cannot_be_the_best():
    best = np.arange(N) % 4
    doors = np.array([True, True, True, True, True])
    blind = expected(table(best), table(best), doors)
    gains = expected(table(best, best), table(best, best), doors)
    # one door is opened, then the other three in turn: 0, 1, 2 or 3 more trials
    np.testing.assert_allclose(blind[:4], 1.5)
    assert blind[4] == pytest.approx(2.5)
    assert gains[4] == pytest.approx(1.0)
    assert gains.argmin() == 4


def test_a_sure_best_is_measured_at_once():
    best = np.full(N, 2)
    left = expected(table(best), table(best), np.ones(5, bool))
    assert left.argmin() == 2 and left[2] == 0
    np.testing.assert_allclose(np.delete(left, 2), 1.0)


def test_noise_hides_what_a_measurement_would_tell():
    best = np.arange(N) % 4
    values = table(best, best)
    seen = values + np.random.default_rng(0).normal(0, 100, values.shape)
    assert expected(values, seen, np.ones(5, bool))[4] > 2.0


def test_a_draw_in_which_the_best_is_measured_already_does_not_count():
    best = np.arange(N) % 4
    is_open = np.array([True, True, False, False, True])
    left = expected(table(best), table(best), is_open)
    np.testing.assert_allclose(left, [0.5, 0.5, 1.5])


def test_nothing_is_told_where_the_best_is_almost_certainly_measured():
    best = np.zeros(N, int)
    best[: ENOUGH - 1] = 1
    is_open = np.array([False, True, True, True, True])
    assert trials_left(table(best), table(best), is_open) is None
    best[ENOUGH - 1] = 1
    assert trials_left(table(best), table(best), is_open) is not None


def test_what_does_not_fit_is_no_best_and_tells_that_it_does_not():
    """Behind the fifth door is nothing; whether it opens tells which half the prize is in."""
    best = np.arange(N) % 4
    values = table(best)
    values[best < 2, 4] = np.inf
    left = expected(values, values, np.ones(5, bool))
    assert left[4] == pytest.approx(1.5)


@pytest.mark.parametrize("order", [*itertools.permutations(range(5))][::17])
def test_the_order_of_the_configurations_does_not_matter(order):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(N, 5)) + np.array([0.0, 0.3, 0.6, 0.9, 1.2])
    is_open = np.array([True, True, True, False, True])
    left = np.full(5, np.nan)
    left[is_open] = expected(values, values, is_open)
    moved = np.full(5, np.nan)
    at = list(order)
    moved[is_open[at]] = expected(values[:, at], values[:, at], is_open[at])
    np.testing.assert_allclose(moved, left[at])
