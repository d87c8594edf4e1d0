"""This module says which measurement tells most, before anything is known of the values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .kernel import correlations, features
from .shape import Array, Shape

SCALES = (0.35, 0.8, 2.0)  # length scales, none believed more than another
LEVEL, NOISE = 2.0, 0.01  # variances of the unknown mean and of a measurement's noise / signal
MOST = 64  # rows that are taken into account


def lost_variance(held: Array, x: Array, is_category: NDArray[np.bool_]) -> Array:
    """Return by how much a measurement of each row would lessen what is unknown of all, (m,).

    It is the sum over all rows of x of the variance that they lose, once those that are held are
    known. So it goes to the middle of what is unknown, and not to a corner, which tells of few.

    Args:
        held: What is measured or being measured, (n, d).
        x: What could be, (m, d).
        is_category: Which parameters are categories, (d,).
    """
    plain = tuple(not is_one for is_one in is_category.tolist())
    shapes = [Shape((scale,) * len(plain), NOISE, plain) for scale in SCALES]
    if len(held) > MOST:
        nearness = correlations(shapes[1:2], features(held, x))[0].max(1)
        held = held[np.sort(np.argsort(-nearness, kind="stable")[:MOST])]
    n, both = len(held), np.vstack([held, x])
    prior = correlations(shapes, features(both, x)) + LEVEL
    cross, rest = prior[:, :n], prior[:, n:]
    if n:
        own = correlations(shapes, features(held, held)) + LEVEL + NOISE * np.eye(n)
        rest = rest - np.swapaxes(cross, 1, 2) @ np.linalg.solve(own, cross)
    lost = np.sum(rest**2, 1) / (np.diagonal(rest, axis1=1, axis2=2) + NOISE)
    return np.asarray(lost.mean(0))
