"""This small Gaussian process is in plain numpy: a package that ships alone brings no torch.

It predicts configurations from those that were measured. Several sets of hyperparameters explain a
dozen measurements about as well, and one of them alone is too sure of itself; so each speaks with
the weight that the data give it (Rasmussen and Williams 2006, chapter 5). Values are to be
minimised.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .improvement import expected_improvement, normal_cdf
from .kernel import correlations, features
from .shape import Array, Shape

NEAR = 32  # pending rows that are taken into account


@dataclass(frozen=True, slots=True)
class _Known:
    """This is what each shape knows of m rows.

    Args:
        x: The rows, (m, d).
        mean: Their posterior means, (k, m).
        left: Their posterior variances / signal, (k, m).
        cross: Their correlations with the measured rows, (k, n, m).
        solved: Those, solved by the measured rows, (k, n, m).
        off: How much of each is not explained by them but by the prior mean, (k, m).
    """

    x: Array
    mean: Array
    left: Array
    cross: Array
    solved: Array
    off: Array


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A surrogate is a fitted process, the mixture of one for each shape.

    Args:
        x: The measured configurations, (n, d).
        y: Their mean values, (n,).
        shapes: The hyperparameters that explain them, k of them.
        weights: How much each is believed, (k,).
        mean: The prior mean of each, (k,), in the unit of the values.
        signal: The variance of its signal, (k,), in that unit squared.
    """

    x: Array
    y: Array
    shapes: tuple[Shape, ...]
    weights: Array
    mean: Array
    signal: Array
    _inverse: Array  # (k, n, n), of the correlations plus each row's noise / signal
    _pull: Array  # (k, n)
    _ones: Array  # (k, n), what the prior mean, which is not known either, weighs rows with

    @property
    def noise(self) -> float:
        """Return the variance of one measurement."""
        return float(self.weights @ (self.signal * np.array([s.noise for s in self.shapes])))

    def by_shape(self, x: Array) -> tuple[Array, Array]:
        """Return posterior means and standard deviations without noise at rows of x, (k, m)."""
        known = self._known(x)
        return known.mean, np.sqrt(self.signal[:, None] * np.maximum(known.left, 1e-12))

    def _known(self, x: Array) -> _Known:
        """Return what is known of rows of x."""
        cross = correlations(self.shapes, features(self.x, x))
        solved = self._inverse @ cross
        off = 1.0 - (self._ones[:, None, :] @ cross)[:, 0]
        left = 1.0 - np.sum(cross * solved, 1) + off * off / self._ones.sum(1)[:, None]
        mean = self.mean[:, None] + (self._pull[:, None, :] @ cross)[:, 0]
        return _Known(x, mean, left, cross, solved, off)

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return posterior mean and standard deviation without noise at rows of x, (m,) each."""
        means, sds = self.by_shape(x)
        mean = self.weights @ means
        return mean, np.sqrt(self.weights @ (sds**2 + (means - mean) ** 2))

    def draws(self, x: Array, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw n functions: values without noise at rows of x, (n, m), and as if measured there.

        Each shape draws as many of them as it is believed.
        """
        means, covariances = self._joint_by_shape(x)
        size, roots = np.linalg.eigh(covariances)
        roots *= np.sqrt(np.maximum(size, 0.0) * self.signal[:, None])[:, None, :]
        who = np.searchsorted(np.cumsum(self.weights), (np.arange(n) + 0.5) / n)
        who = rng.permutation(np.minimum(who, len(self.weights) - 1))
        values = means[who] + np.einsum("nij,nj->ni", roots[who], rng.standard_normal((n, len(x))))
        noise = np.sqrt(self.signal * [shape.noise for shape in self.shapes])[who]
        return values, values + noise[:, None] * rng.standard_normal(values.shape)

    def joint(self, x: Array) -> tuple[Array, Array]:
        """Return posterior mean (m,) and covariance (m, m) without noise."""
        means, own = self._joint_by_shape(x)
        mean = self.weights @ means
        off = means - mean
        both = self.signal[:, None, None] * own + off[:, :, None] * off[:, None, :]
        return mean, np.tensordot(self.weights, both, 1)

    def _joint_by_shape(self, x: Array) -> tuple[Array, Array]:
        """Return posterior means (k, m) and covariances / signal (k, m, m) without noise."""
        cross = correlations(self.shapes, features(self.x, x))
        prior = correlations(self.shapes, features(x, x))
        means = self.mean[:, None] + np.einsum("kij,ki->kj", cross, self._pull)
        off = 1.0 - np.einsum("kij,ki->kj", cross, self._ones)
        own = prior - np.swapaxes(cross, 1, 2) @ self._inverse @ cross
        return means, own + off[:, :, None] * off[:, None, :] / self._ones.sum(1)[:, None, None]

    def improvement(self, x: Array, best: float, pending: Array) -> Array:
        """Return the expected improvement on `best` at rows of x, (m,).

        Every pending row is believed to give just what is expected of it: means stay as they are,
        and there is less doubt near those rows.
        """
        known = self._known(x)
        left = known.left - self._lost_variance(pending, known) if len(pending) else known.left
        sds = np.sqrt(self.signal[:, None] * np.maximum(left, 1e-12))
        return np.asarray(self.weights @ expected_improvement(known.mean, sds, best))

    def _lost_variance(self, pending: Array, known: _Known) -> Array:
        """Return by how much the variance of the known rows falls, / signal, (k, m).

        The pending rows are those that are nearest to one of them.
        """
        if len(pending) > NEAR:
            nearness = correlations(self.shapes[:1], features(pending, known.x))[0].max(1)
            pending = pending[np.sort(np.argsort(-nearness, kind="stable")[:NEAR])]
        n, both = len(pending), np.vstack([pending, known.x])
        prior = correlations(self.shapes, features(pending, both))
        theirs = self._known(pending)
        solved = np.concatenate([theirs.solved, known.solved], 2)
        off = np.concatenate([theirs.off, known.off], 1)
        rest = prior - np.swapaxes(theirs.cross, 1, 2) @ solved
        rest += theirs.off[:, :, None] * off[:, None, :] / self._ones.sum(1)[:, None, None]
        own, other = rest[:, :, :n] + 1e-6 * np.eye(n), rest[:, :, n:]
        return np.asarray(np.sum(other * np.linalg.solve(own, other), 1))

    def below(self, x: Array, limit: float) -> Array:
        """Return the probability that the value is below the limit at rows of x, (m,)."""
        means, sds = self.by_shape(x)
        return np.asarray(self.weights @ normal_cdf((limit - means) / sds))
