"""This module computes the expected improvement of a normal belief on the best value so far."""

from __future__ import annotations

import math

import numpy as np

from .shape import Array


def normal_cdf(z: Array) -> Array:
    """Return the cumulative distribution of the standard normal.

    >>> float(normal_cdf(np.zeros(1))[0])
    0.5
    """
    return np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in z.flat]).reshape(z.shape)


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
