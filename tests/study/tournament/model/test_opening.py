"""These tests show which measurement tells most while no value is known."""

import numpy as np

from study.tournament.model.opening import MOST, lost_variance

GRID = np.array([(a, b) for a in np.linspace(0, 1, 5) for b in np.linspace(0, 1, 3)])
NONE = np.empty((0, 2))
NUMBERS = np.zeros(2, bool)


def test_the_middle_tells_most_and_a_corner_least():
    worth = lost_variance(NONE, GRID, NUMBERS)
    assert GRID[worth.argmax()].tolist() == [0.5, 0.5]
    assert set(GRID[worth.argmin()]) <= {0.0, 1.0}


def test_what_is_known_tells_nothing_more():
    alone, beside = lost_variance(NONE, GRID, NUMBERS), lost_variance(GRID[7:8], GRID, NUMBERS)
    assert (beside < alone).all()
    assert beside.argmin() == 7


def test_categories_are_told_apart_and_none_is_in_the_middle():
    worth = lost_variance(NONE, GRID, np.array([False, True])).reshape(5, 3)
    np.testing.assert_allclose(worth - worth[:, :1], 0, atol=1e-12)
    second = lost_variance(GRID[7:8], GRID, np.array([False, True])).reshape(5, 3)
    assert second[:, 1].max() < second.max()


def test_it_is_the_variance_that_the_others_lose():
    rng = np.random.default_rng(0)
    held, x = rng.random((4, 2)), rng.random((6, 2))

    def lost(scale, i):
        both = np.vstack([held, x])
        squared = ((both[:, None] - both[None]) ** 2).sum(2) / scale**2
        r = np.sqrt(5 * squared)
        k = (1 + r + r * r / 3) * np.exp(-r) + 2.0

        def unknown(rows):
            own = k[np.ix_(rows, rows)] + 0.01 * np.eye(len(rows))
            return np.trace(k[4:, 4:] - k[4:, rows] @ np.linalg.solve(own, k[rows, 4:]))

        return unknown([0, 1, 2, 3]) - unknown([0, 1, 2, 3, 4 + i])

    expected = [np.mean([lost(scale, i) for scale in (0.35, 0.8, 2.0)]) for i in range(6)]
    np.testing.assert_allclose(lost_variance(held, x, NUMBERS), expected, rtol=1e-8)


def test_of_many_that_are_held_the_nearest_count():
    x = np.array([[0.1, 0.1], [0.2, 0.1]])
    near = 0.15 + np.arange(MOST)[:, None] * np.array([[1e-3, 5e-4]])
    far = np.random.default_rng(0).uniform(0.8, 1, (200, 2))
    many = lost_variance(np.vstack([far, near]), x, NUMBERS)
    np.testing.assert_allclose(many, lost_variance(near, x, NUMBERS))
