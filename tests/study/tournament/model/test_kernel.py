"""These tests show how far configurations are apart for the model."""

import itertools

import numpy as np
import pytest

from study.tournament.model.fitting import fit
from study.tournament.model.kernel import Pairs, correlations, features, matern
from study.tournament.model.shape import Shape, weights_of

ORDERED, UNORDERED = (True, True, True, True), (True, True, False, False)


def test_a_missing_parameter_is_far_from_every_present_one():
    a = np.array([[0.25, 1.0, np.nan]])
    b = np.array([[0.75, 0.0, np.nan], [np.nan, 1.0, 0.5], [0.25, np.nan, 1.0]])
    squared, differs = features(a, b)[:3, 0], features(a, b)[3:6, 0]
    assert squared.T.tolist() == [[0.25, 1.0, 0.0], [0.8125, 0.0, 0.75], [0.0, 1.0, 1.0]]
    assert differs.T.tolist() == [[1, 1, 0], [1, 0, 1], [0, 1, 1]]


@pytest.mark.parametrize("seed", range(10))
def test_there_is_a_process_over_rows_that_lack_parameters(seed):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((40, 4)) < 0.5, np.nan, rng.random((40, 4)))
    x[:, 3] = np.where(np.isnan(x[:, 3]), np.nan, np.round(2 * x[:, 3]) / 2)
    for scale, ordered in itertools.product((0.05, 1.0, 20.0), (ORDERED, UNORDERED)):
        shape = Shape((scale,) * 4, 0.1, ordered)
        assert np.linalg.eigvalsh(correlations([shape], features(x, x))[0]).min() > -1e-12
    surrogate = fit(x, np.array([False, False, False, True]), rng.normal(size=40))
    assert all(np.isfinite(each).all() for each in surrogate.predict(x))


@pytest.mark.parametrize("n", [1, 2, 7])
def test_pairs_are_compared_once_and_as_two_sets_of_rows_are(n):
    rng = np.random.default_rng(n)
    x = np.where(rng.random((n, 3)) < 0.2, np.nan, rng.random((n, 3)))
    shapes = [
        Shape((0.3, 0.5, 1.0), 0.1, (True, True, False), ((0, 1, 0.5),)),
        Shape((2.0, 0.1, 0.4), 0.1, (False, True, True)),
    ]
    expected = np.tril(correlations(shapes, features(x, x)), -1)
    lower = Pairs(x).lower(weights_of(shapes), more=2)
    assert lower[:, :n, :n] == pytest.approx(expected)
    assert lower.shape == (2, n + 2, n + 2)
    assert not lower[:, n:].any()
    assert not lower[:, :, n:].any()


@pytest.mark.parametrize("seed", range(10))
def test_there_is_a_process_over_a_ridge_aslant(seed):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((40, 3)) < 0.2, np.nan, rng.random((40, 3)))
    shape = Shape((0.3, 0.5, 1.0), 0.1, (True,) * 3, ((0, 1, 0.5), (1, 2, -1.0)))
    assert np.linalg.eigvalsh(correlations([shape], features(x, x))[0]).min() > -1e-10


def test_a_move_changes_one_thing_and_slants_are_for_few_parameters():
    start = Shape((0.5, 0.5, 0.5), 0.01, (True, True, False))
    shapes = list(start.moves([2]))
    assert len(set(shapes)) == len(shapes)
    assert start not in shapes
    assert {len(shape.slants) for shape in shapes} == {0, 1}
    assert not any(shape.slants for shape in Shape((0.5,) * 4, 0.01, ORDERED).moves([]))
    slanted = next(shape for shape in shapes if shape.slants)
    assert start in [Shape(s.scales, s.noise, start.ordered, s.slants) for s in slanted.moves([2])]


def test_the_kernel_is_one_at_home_and_falls():
    values = matern(np.linspace(0, 9, 50))
    assert values[0] == 1.0
    assert (np.diff(values) < 0).all()
