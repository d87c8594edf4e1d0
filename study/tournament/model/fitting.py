"""This module finds the hyperparameters that explain what was measured.

It goes by steps from a short list, so that a fit costs milliseconds, needs no optimiser, and is the
same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .kernel import LISTED, Array, Shape, correlations, features, listed
from .surrogate import Surrogate

SCALES = (0.05, 0.2, 0.5, 1.2, 3.0)  # isotropic length scales to begin with
NOISES = (1e-4, 1e-2, 0.1, 0.5, 2.0)  # noise variance / signal variance
PASSES, MOST, HEARD = 4, 12, 0.02  # of the search; shapes that speak, and the least weight of one
MOST_LISTED = 40  # of a list, most of which explain few measurements about as well
JITTER = 1e-8
SMALL = 24  # rows; with more, what explains them best is found without trying everything

Score = tuple[float, float, float]  # log posterior, prior mean, variance of the signal


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
        counts: The measurements behind each mean, (n,); 1 each by default. One that tells less
            than a measurement counts as a part of one.
        within: The sum of squares of all measurements about their means.
    """
    counts = np.ones(len(y)) if counts is None else counts
    seen: dict[Shape, Score] = {}
    spread = float(np.mean((y - np.average(y, weights=counts)) ** 2)) or 1.0
    of, total = features(x, x), float(np.maximum(counts, 1).sum())  # rows are one at least
    right = np.stack([y, np.ones(len(y))], 1)

    def score(shapes: Sequence[Shape]) -> None:
        """Note log posterior, mean and signal of each; mean and signal are profiled out."""
        shapes = [shape for shape in dict.fromkeys(shapes) if shape not in seen]
        if not shapes:
            return
        noise = np.array([shape.noise for shape in shapes])
        own = (noise[:, None] / counts + JITTER)[:, None, :] * np.eye(len(y))
        root = np.linalg.cholesky(correlations(shapes, of) + own)
        half = np.linalg.solve(root, np.broadcast_to(right, (len(shapes), *right.shape)))
        ones = np.sum(half[..., 1] ** 2, 1)
        mean = np.sum(half[..., 0] * half[..., 1], 1) / ones
        rest = half[..., 0] - mean[:, None] * half[..., 1]
        signal = (np.sum(rest**2, 1) + within / noise + 0.3 * spread) / total
        log_det = 2 * np.sum(np.log(np.diagonal(root, axis1=1, axis2=2)), 1)
        log_det += (total - len(y)) * np.log(noise)
        log = -0.5 * (total * np.log(signal) + log_det + np.log(ones))
        log += np.array([shape.log_prior for shape in shapes])
        found = zip(log.tolist(), mean.tolist(), signal.tolist(), strict=True)
        seen.update(zip(shapes, found, strict=True))

    def best() -> Shape:
        return max(seen, key=lambda shape: seen[shape][0])

    d, plain = x.shape[1], tuple(not is_one for is_one in is_category.tolist())
    free = [i for i in range(d) if not plain[i] and len(set(x[~np.isnan(x[:, i]), i])) > 2]
    noises = NOISES if len(y) > 3 else NOISES[:2]
    if d <= LISTED and len(y) <= SMALL and not within:
        score(listed(plain, tuple(free)))
        return _mixture(x, y, counts, seen, MOST_LISTED)
    score([Shape((scale,) * d, noise, plain) for scale in SCALES for noise in noises])
    for _ in range(PASSES):
        here = best()
        score(
            [*here.moves(free), *(Shape(here.scales, n, here.ordered, here.slants) for n in noises)]
        )
        if best() == here:
            break
    return _mixture(x, y, counts, seen, MOST)


def _mixture(x: Array, y: Array, counts: Array, seen: dict[Shape, Score], most: int) -> Surrogate:
    """Return the process of those shapes that explain the data, each with its weight."""
    ranked = sorted(seen, key=lambda shape: -seen[shape][0])[:most]
    top = seen[ranked[0]][0]
    shapes = tuple(shape for shape in ranked if math.exp(seen[shape][0] - top) > HEARD)
    log, mean, signal = np.array([seen[shape] for shape in shapes]).T
    weights = np.exp(log - top)
    own = np.array([shape.noise for shape in shapes])[:, None] / counts + JITTER
    inverse = np.linalg.inv(correlations(shapes, features(x, x)) + own[:, None, :] * np.eye(len(y)))
    return Surrogate(
        x=x,
        y=y,
        shapes=shapes,
        weights=weights / weights.sum(),
        mean=mean,
        signal=signal,
        _inverse=np.asarray(inverse, dtype=np.float64),
        _pull=np.einsum("kij,kj->ki", inverse, y - mean[:, None]),
        _ones=inverse.sum(1),
    )
