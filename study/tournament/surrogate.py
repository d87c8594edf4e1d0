"""A small Gaussian process in plain numpy, since a package that ships alone brings no torch.

It predicts configurations from those that were measured.

Its kernel is Matern 5/2 on the scaled distance between configurations, with one length scale a
parameter and a noise level of its own. Hyperparameters are the best of a short list by marginal
likelihood (Rasmussen and Williams 2006, chapter 5), so that a fit costs milliseconds, needs no
optimiser, and is the same on every machine. Values are to be minimised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SCALES = (0.05, 0.2, 0.5, 1.2, 3.0)  # isotropic length scales, of the whole range of a parameter
NOISES = (1e-4, 1e-2, 0.1, 0.5, 2.0)  # noise variance / signal variance
TYPICAL_NOISE = 1e-2  # while the length scale is chosen
FACTORS = (0.4, 2.5)  # from the common length scale to a parameter's own
EXPECTED_SCALE, SPREAD = math.log(0.5), 1.0  # log-normal prior of a length scale
JITTER = 1e-8


def gaps(a: Array, b: Array, is_category: NDArray[np.bool_]) -> Array:
    """Return squared distances by parameter, (d, n, m), between rows of a (n, d) and b (m, d).

    Two categories are 1 apart, and a missing one is a category more. A missing number stands beside
    the middle of the range, between 0.75 and 1 from every present one: were it 1 from all of them,
    there would be no such points, and no process over them.
    """
    absent = np.isnan(a).T[:, :, None] ^ np.isnan(b).T[:, None, :]
    diff = np.nan_to_num(a, nan=0.5).T[:, :, None] - np.nan_to_num(b, nan=0.5).T[:, None, :]
    return np.asarray(np.where(is_category[:, None, None], diff != 0, diff * diff + 0.75 * absent))


def matern(squared: Array) -> Array:
    """Return the Matern 5/2 correlation of a squared scaled distance.

    >>> float(matern(np.zeros(1))[0])
    1.0
    """
    r = np.sqrt(5.0 * squared)
    return np.asarray((1.0 + r + 5.0 / 3.0 * squared) * np.exp(-r))


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A surrogate is a fitted process.

    Args:
        x: The measured configurations, (n, d).
        y: Their mean values, (n,).
        is_category: Which parameters are categories, (d,).
        scales: The length scale of each parameter, (d,), of its whole range.
        mean: The prior mean, in the unit of the values.
        signal: The variance of the signal, in that unit squared.
        noise: The variance of one measurement, likewise.
    """

    x: Array
    y: Array
    is_category: NDArray[np.bool_]
    scales: Array
    mean: float
    signal: float
    noise: float
    _ratio: Array  # of each row, variance of its mean's noise / signal
    _inverse: Array  # of the correlations plus the ratios
    _weights: Array

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Return posterior mean and standard deviation without noise at rows of x, (m,) each."""
        cross = self._cross(x)
        explained = np.einsum("ij,ij->j", cross, self._inverse @ cross)
        sd = np.sqrt(self.signal * np.maximum(1.0 - explained, 1e-12))
        return self.mean + cross.T @ self._weights, sd

    def joint(self, x: Array) -> tuple[Array, Array]:
        """Return posterior mean (m,) and covariance (m, m) without noise."""
        cross = self._cross(x)
        prior = matern(np.tensordot(self.scales**-2.0, gaps(x, x, self.is_category), 1))
        return self.mean + cross.T @ self._weights, self.signal * (
            prior - cross.T @ self._inverse @ cross
        )

    def _cross(self, x: Array) -> Array:
        return matern(np.tensordot(self.scales**-2.0, gaps(self.x, x, self.is_category), 1))

    def believing(self, x: Array) -> Surrogate:
        """Return the process after x had given just what it expects there.

        So running trials count without a value.
        """
        if not len(x):
            return self
        y, x = np.concatenate([self.y, self.predict(x)[0]]), np.vstack([self.x, x])
        ratio = np.concatenate([self._ratio, np.full(len(y) - len(self.y), JITTER)])
        return _process(
            x, y, self.is_category, self.scales, self.mean, self.signal, self.noise, ratio
        )


def _process(
    x: Array,
    y: Array,
    is_category: NDArray[np.bool_],
    scales: Array,
    mean: float,
    signal: float,
    noise: float,
    ratio: Array,
) -> Surrogate:
    correlation = matern(np.tensordot(scales**-2.0, gaps(x, x, is_category), 1))
    inverse = np.asarray(np.linalg.inv(correlation + np.diag(ratio)), dtype=np.float64)
    return Surrogate(
        x, y, is_category, scales, mean, signal, noise, ratio, inverse, inverse @ (y - mean)
    )


def fit(
    x: Array,
    is_category: NDArray[np.bool_],
    y: Array,
    counts: Array | None = None,
    within: float = 0.0,
) -> Surrogate:
    """Fit the process for mean values y (n,) at configurations x (n, d).

    Args:
        x: Configurations as `coordinates` gives them.
        is_category: Which parameters are categories, (d,).
        y: The mean value of each configuration.
        counts: The measurements behind each mean, (n,); 1 each by default.
        within: The sum of squares of all measurements about their means.
    """
    counts = np.ones(len(y)) if counts is None else counts
    mean = float(np.average(y, weights=counts))
    centred, squared, d = y - mean, gaps(x, x, is_category), x.shape[1]
    spread = float(np.mean(centred**2)) or 1.0

    def score(scales: Array, noise: Array) -> Array:
        """Return the log posterior of each row, the signal's variance profiled out."""
        c = matern(np.tensordot(scales**-2.0, squared, 1))
        root = np.linalg.cholesky(
            c + (noise[:, None] / counts + JITTER)[:, None, :] * np.eye(len(y))
        )
        half = np.linalg.solve(root, np.broadcast_to(centred[:, None], (len(scales), len(y), 1)))[
            ..., 0
        ]
        total = counts.sum()
        signal = (np.sum(half**2, 1) + within / noise + 0.1 * spread) / total
        log_det = 2 * np.sum(np.log(np.diagonal(root, axis1=1, axis2=2)), 1) + (
            total - len(y)
        ) * np.log(noise)
        prior = np.mean((np.log(scales) - EXPECTED_SCALE) ** 2, 1) / SPREAD**2
        return np.asarray(-0.5 * (total * np.log(signal) + log_det + prior))

    even = np.repeat(np.array(SCALES)[:, None], d, 1)
    noise = TYPICAL_NOISE
    for _ in range(2):  # one after the other, since a list of all pairs would take twice as long
        scales = even[np.argmax(score(even, np.full(len(even), noise)))]
        levels = score(np.repeat(scales[None], len(NOISES), 0), np.array(NOISES))
        noise, top = NOISES[int(np.argmax(levels))], levels.max()
    # each parameter on its own: a shorter or a longer scale; then all that helped together, or
    # the best one
    if d > 1:
        moves = np.repeat(scales[None], 2 * d, 0)
        moves[np.arange(2 * d), np.arange(2 * d) % d] *= np.repeat(FACTORS, d)
        gained = score(moves, np.full(2 * d, noise)).reshape(2, d)
        together = scales * np.where(gained.max(0) > top, np.take(FACTORS, gained.argmax(0)), 1.0)
        candidates = np.vstack([scales, together, moves[np.argmax(gained)]])
        scales = candidates[np.argmax(score(candidates, np.full(3, noise)))]
    unscaled = _process(x, y, is_category, scales, mean, 1.0, noise, noise / counts + JITTER)
    signal = (float(centred @ unscaled._weights) + within / noise + 0.1 * spread) / float(
        counts.sum()
    )
    return replace(unscaled, signal=signal, noise=noise * signal)


def normal_cdf(z: Array) -> Array:
    """Return the cumulative distribution of the standard normal.

    >>> float(normal_cdf(np.zeros(1))[0])
    0.5
    """
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in z])


def expected_improvement(mean: Array, sd: Array, best: float) -> Array:
    """Return by how much each is expected to be below `best`.

    Source: Jones, Schonlau and Welch 1998, equation 15.

    >>> expected_improvement(np.array([1.0, 0.0]), np.array([1e-9, 1e-9]), 0.5).round(3).tolist()
    [0.0, 0.5]
    """
    z = (best - mean) / sd
    return np.asarray(
        (best - mean) * normal_cdf(z) + sd * np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    )
