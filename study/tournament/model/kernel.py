"""This module compares configurations: a Matern 5/2 kernel with hyperparameters of its own each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .shape import Array, Shape, pairs_of, weights_of

ABSENT = 0.75  # squared, from a number that is missing to one that is not


def features(a: Array, b: Array) -> Array:
    """Return what squared distances are made of, (f, n, m), between rows of a (n, d) and b (m, d).

    Of each parameter the squared difference, then of each whether it differs, then of each pair of
    few parameters the product of their differences. A missing number stands beside the middle of
    the range, between 0.75 and 1 from every present one: were it 1 from all of them, there would be
    no such points, and no process over them. As a category, it is one more.
    """
    return _compared(a.T[:, :, None], b.T[:, None, :])


def _compared(a_t: Array, b_t: Array) -> Array:
    a_lacks, b_lacks = np.isnan(a_t), np.isnan(b_t)
    if a_lacks.any() or b_lacks.any():
        apart = np.where(a_lacks, 0.5, a_t) - np.where(b_lacks, 0.5, b_t)
        absent = a_lacks ^ b_lacks
        own = [apart * apart + ABSENT * absent, (apart != 0) | absent]
    else:
        apart = a_t - b_t
        own = [apart * apart, apart != 0]
    products = [apart[i] * apart[j] for i, j in pairs_of(len(apart))]
    return np.concatenate([*own, np.array(products)] if products else own)


def correlations(shapes: Sequence[Shape], of: Array) -> Array:
    """Return the correlations of two sets of rows under each shape, (shapes, n, m).

    Args:
        shapes: The hyperparameters.
        of: The `features` of the rows.
    """
    return _correlated(weights_of(shapes), of)


def _correlated(weights: Array, of: Array) -> Array:
    return matern(np.maximum(np.tensordot(weights, of, 1), 0.0))


class Pairs:
    """Pairs are those of the rows of a set: each is compared once, however many shapes ask for it.

    Args:
        x: The rows, (n, d).
    """

    def __init__(self, x: Array) -> None:
        self.n = len(x)
        self._low, self._high = np.tril_indices(self.n, -1)
        self._of = _compared(x.T[:, self._low], x.T[:, self._high])

    def lower(self, weights: Array, more: int = 0) -> Array:
        """Return the correlations below the diagonal, (k, n + more, n + more).

        All else is 0, the last `more` rows and columns too.

        Args:
            weights: The `weights_of` k shapes.
            more: How many rows and columns stand behind them.
        """
        size = self.n + more
        made = np.zeros((len(weights), size * size))
        made[:, self._low * size + self._high] = _correlated(weights, self._of)
        return made.reshape(-1, size, size)


def matern(squared: Array) -> Array:
    """Return the Matern 5/2 correlation of a squared scaled distance.

    >>> float(matern(np.zeros(1))[0])
    1.0
    """
    r = np.sqrt(5.0 * squared)
    falls = np.exp(-r)
    r += 1.0
    r += 5.0 / 3.0 * squared
    r *= falls
    return np.asarray(r)
