"""This module finds the hyperparameters that explain what was measured.

It goes by steps from a short list, so that a fit costs milliseconds, needs no optimiser, and is the
same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from .kernel import Pairs
from .shape import LISTED, Array, Numbers, Shape, listed, numbers_of_listed, weights_of
from .surrogate import Surrogate

SCALES = (0.05, 0.2, 0.5, 1.2, 3.0)  # isotropic length scales to begin with
NOISES = (1e-4, 1e-2, 0.1, 0.5, 2.0)  # noise variance / signal variance
PASSES, MOST, HEARD = 4, 12, 0.02  # of the search; shapes that speak, and the least weight of one
MOST_LISTED = 40  # of a list, most of which explain few measurements about as well
JITTER = 1e-8
HUGE = 1e30  # so much that what is taken off it in a root does not matter
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
    n, pairs, seen = len(y), Pairs(x), dict[Shape, Score]()
    spread = float(np.mean((y - np.average(y, weights=counts)) ** 2)) or 1.0
    total = float(np.maximum(counts, 1).sum())  # rows are one at least
    huge = HUGE * (1 + float(np.abs(y).max())) ** 2

    def scored(numbers: Numbers) -> list[Score]:
        """Return log posterior, mean and signal of each; mean and signal are profiled out."""
        noise = numbers.noise
        # with the values and ones as two more rows, the root's last rows are both of them, solved
        bordered = pairs.lower(numbers.weights, 2)
        diagonal = np.einsum("kii->ki", bordered)
        diagonal[:, :n], diagonal[:, n:] = 1 + (noise[:, None] / counts + JITTER), huge
        bordered[:, n, :n], bordered[:, n + 1, :n] = y, 1
        root = np.linalg.cholesky(bordered)
        values, one = root[:, n, :n], root[:, n + 1, :n]
        ones = np.sum(one**2, 1)
        mean = np.sum(values * one, 1) / ones
        rest = values - mean[:, None] * one
        signal = (np.sum(rest**2, 1) + within / noise + 0.3 * spread) / total
        log_det = 2 * np.sum(np.log(np.einsum("kii->ki", root)[:, :n]), 1)
        log_det += (total - n) * np.log(noise)
        log = -0.5 * (total * np.log(signal) + log_det + np.log(ones)) + numbers.log_prior
        return list(zip(log.tolist(), mean.tolist(), signal.tolist(), strict=True))

    def score(shapes: Sequence[Shape]) -> None:
        """Note the score of each that is new."""
        shapes = [shape for shape in dict.fromkeys(shapes) if shape not in seen]
        if shapes:
            seen.update(zip(shapes, scored(Numbers.of(shapes)), strict=True))

    def best() -> Shape:
        return max(seen.items(), key=lambda item: item[1][0])[0]

    d, plain = x.shape[1], tuple(not is_one for is_one in is_category.tolist())
    free = [i for i in range(d) if not plain[i] and len(set(x[~np.isnan(x[:, i]), i])) > 2]
    noises = NOISES if n > 3 else NOISES[:2]
    if d <= LISTED and n <= SMALL and not within:
        of = plain, tuple(free)
        every = zip(listed(*of), scored(numbers_of_listed(*of)), strict=True)
        return _mixture(x, y, counts, pairs, every, MOST_LISTED)
    score([Shape((scale,) * d, noise, plain) for scale in SCALES for noise in noises])
    for _ in range(PASSES):
        here = best()
        score(
            [*here.moves(free), *(Shape(here.scales, n, here.ordered, here.slants) for n in noises)]
        )
        if best() == here:
            break
    return _mixture(x, y, counts, pairs, seen.items(), MOST)


def _mixture(
    x: Array,
    y: Array,
    counts: Array,
    pairs: Pairs,
    seen: Iterable[tuple[Shape, Score]],
    most: int,
) -> Surrogate:
    """Return the process of those shapes that explain the data, each with its weight."""
    ranked = sorted(seen, key=lambda item: -item[1][0])[:most]
    top = ranked[0][1][0]
    heard = [(shape, score) for shape, score in ranked if math.exp(score[0] - top) > HEARD]
    shapes = tuple(shape for shape, _ in heard)
    log, mean, signal = np.array([score for _, score in heard]).T
    weights = np.exp(log - top)
    own = np.array([shape.noise for shape in shapes])[:, None] / counts + JITTER
    below = pairs.lower(weights_of(shapes))
    inverse = np.linalg.inv(
        below + np.swapaxes(below, 1, 2) + (1 + own)[:, None, :] * np.eye(len(y))
    )
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
