"""This module holds the shapes of a Matern 5/2 kernel, which are its hyperparameters.

The squared distance under any shape is a weighted sum of the same few features of two rows, so that
many are tried with one product of matrices.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
T = TypeVar("T")

FEW = 3  # parameters; with more, slants are too many to be told apart by few trials
FACTORS = (0.4, 2.5)  # from a length scale to a shorter and to a longer one
LISTED = 2  # parameters; with more, there are too many shapes to try them all
LENGTHS = (0.15, 0.35, 0.8, 1.8, 4.0)  # length scales of those
LISTED_NOISES = (1e-4, 1e-2, 0.2)
SHORTEST, LONGEST = 0.02, 20.0
SLANTS = (-1.0, -0.5, 0.5, 1.0)  # how far a ridge moves along a parameter over another's range
# log-normal prior of a length scale in one dimension; it grows with the root of the dimensions, as
# distances do (Hvarfner, Hellsten and Nardi 2024)
EXPECTED_SCALE, SPREAD = 0.35, 1.0
SLANTED = 1.0  # what a slant costs, in nats: it must be seen to be believed
USUAL_NOISE, NOISY = 0.01, 1.5  # what each power of ten costs by which noise is beyond the usual


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape holds the hyperparameters of a process.

    Args:
        scales: The length scale of each parameter, of its whole range.
        noise: The variance of one measurement's noise / that of the signal.
        ordered: Of each parameter, whether it counts how far two values are apart, or only whether
            they differ. A category may be in the order of its list.
        slants: (i, j, s) says that a ridge runs aslant: i is read as x_i - s x_j.
    """

    scales: tuple[float, ...]
    noise: float
    ordered: tuple[bool, ...]
    slants: tuple[tuple[int, int, float], ...] = ()

    @property
    def log_prior(self) -> float:
        return _log_prior(self.scales, self.noise, len(self.slants))

    def moves(self, free: Sequence[int]) -> Iterator[Shape]:
        """Yield every shape that differs in one thing.

        Args:
            free: The categories whose order is in question.
        """
        for i, scale in enumerate(self.scales):
            for factor in FACTORS:
                if SHORTEST < scale * factor < LONGEST:
                    yield replace(self, scales=_with(self.scales, i, scale * factor))
        for i in free:
            kept = tuple(slant for slant in self.slants if i not in slant[:2])
            yield replace(self, ordered=_with(self.ordered, i, not self.ordered[i]), slants=kept)
        if len(self.scales) <= FEW:
            yield from self._slanted(
                [i for i, is_one in enumerate(self.ordered) if is_one or i in free]
            )

    def _slanted(self, ordinals: Sequence[int]) -> Iterator[Shape]:
        for i, j in itertools.permutations(ordinals, 2):
            others = tuple(slant for slant in self.slants if slant[:2] != (i, j))
            if any(j == k or i in (k, m) for k, m, _ in others):
                continue
            both = tuple(is_one or k in (i, j) for k, is_one in enumerate(self.ordered))
            for slant in SLANTS:
                if (i, j, slant) not in self.slants:
                    yield replace(self, ordered=both, slants=(*others, (i, j, slant)))
            if len(others) < len(self.slants):
                yield replace(self, slants=others)


@lru_cache(maxsize=4096)
def _log_prior(scales: tuple[float, ...], noise: float, slants: int) -> float:
    d = len(scales)
    expected = math.log(EXPECTED_SCALE * math.sqrt(d))
    unlikely = sum((math.log(scale) - expected) ** 2 for scale in scales) / d / SPREAD**2
    noisy = max(0.0, math.log10(noise / USUAL_NOISE))
    return -0.5 * min(d, 2) * unlikely - SLANTED * slants - NOISY * noisy


@lru_cache(maxsize=64)
def listed(plain: tuple[bool, ...], free: tuple[int, ...]) -> tuple[Shape, ...]:
    """Return the shapes of few parameters that a few measurements cannot tell apart.

    Args:
        plain: Of each parameter, whether it is no category.
        free: The categories whose order is in question.
    """
    orders = itertools.product(*((False, True) if i in free else (o,) for i, o in enumerate(plain)))
    forms: list[tuple[tuple[bool, ...], tuple[tuple[int, int, float], ...]]] = []
    for ordered in orders:
        ordinals = [i for i, is_one in enumerate(ordered) if is_one]
        forms.append((ordered, ()))
        for i, j in itertools.permutations(ordinals, 2):
            forms += [(ordered, ((i, j, slant),)) for slant in SLANTS]
    return tuple(
        Shape(scales, noise, ordered, slants)
        for scales in itertools.product(LENGTHS, repeat=len(plain))
        for noise in LISTED_NOISES
        for ordered, slants in forms
    )


@lru_cache(maxsize=64)
def numbers_of_listed(plain: tuple[bool, ...], free: tuple[int, ...]) -> Numbers:
    """Return the numbers of `listed`, which every fit to a few measurements tries."""
    return Numbers.of(listed(plain, free))


@dataclass(frozen=True, slots=True)
class Numbers:
    """These are the numbers of k shapes.

    Args:
        weights: The weight of each of the `features` in a squared distance, (k, f).
        noise: The noise of each, (k,).
        log_prior: The prior of each, (k,).
    """

    weights: Array
    noise: Array
    log_prior: Array

    @classmethod
    def of(cls, shapes: Sequence[Shape]) -> Numbers:
        """Return those of shapes."""
        noise = np.array([shape.noise for shape in shapes])
        return cls(weights_of(shapes), noise, np.array([shape.log_prior for shape in shapes]))


def weights_of(shapes: Sequence[Shape]) -> Array:
    """Return the weight of each of the `features` in a squared distance, (k, f)."""
    return np.array([_weights(shape.scales, shape.ordered, shape.slants) for shape in shapes])


@lru_cache(maxsize=4096)
def _weights(
    scales: tuple[float, ...],
    ordered: tuple[bool, ...],
    slants: tuple[tuple[int, int, float], ...],
) -> tuple[float, ...]:
    """Return the weight of each of the `features` in a squared distance."""
    inverse = [scale**-2 for scale in scales]
    straight = [one if is_one else 0.0 for one, is_one in zip(inverse, ordered, strict=True)]
    differ = [0.0 if is_one else one for one, is_one in zip(inverse, ordered, strict=True)]
    products = dict.fromkeys(pairs_of(len(scales)), 0.0)
    for i, j, slant in slants:
        straight[j] += slant * slant * inverse[i]
        products[min(i, j), max(i, j)] -= 2 * slant * inverse[i]
    return (*straight, *differ, *products.values())


def _with(values: tuple[T, ...], index: int, value: T) -> tuple[T, ...]:
    return (*values[:index], value, *values[index + 1 :])


def pairs_of(d: int) -> list[tuple[int, int]]:
    """Return the pairs of few parameters, whose differences are multiplied."""
    return list(itertools.combinations(range(d), 2)) if d <= FEW else []
