"""This module draws 5 x 3 tables in other ways than those that the tournament was built with.

They answer whether it is as good on what nobody tuned to:

hills            one hill, its sides of any power between 1.3 and 2.5
quadratic        one hill whose two axes depend on each other
matern           a rough surface, drawn from a Gaussian process with the Matern 3/2 kernel
ridges           a ridge across the table with long tails; one row of it is the highest
cliffs           values that rise with memory until it runs out
failures-only    the same, and only what fails names the constraint
wrong-direction  the same, and the sampler that takes a direction is told the wrong one
two-walls        too little memory on one side, too little left for a cache on the other
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

Table = tuple[np.ndarray, np.ndarray | None]  # values; deficits, where some cell does not fit

SHARE, MODEL = np.linspace(0, 1, 5)[:, None], np.linspace(0, 1, 3)[None, :]
LEAST_FITTING = 4  # cells
# the directions that a sampler is told, and the constraint: the share drives it the other way, and
# the model, which does drive it, is said not to matter
WRONG = {"memory": {"share": -1, "speech": 0}}


def family(name: str, rng: np.random.Generator) -> Table:
    """Draw a table of one of `FAMILIES`; one in which hardly anything fits is drawn again."""
    while True:
        values, deficits = FAMILIES[name](rng)
        if deficits is None or np.sum(deficits <= 0) >= LEAST_FITTING:
            return values, deficits


def _hills(rng: np.random.Generator) -> Table:
    along = np.abs(SHARE - rng.uniform(0, 1)) ** rng.uniform(1.3, 2.5)
    across = np.abs(MODEL - rng.uniform(0, 1)) ** 1.5
    both = rng.uniform(-0.3, 0.3) * SHARE * MODEL
    return both - rng.uniform(0.5, 2) * along - rng.uniform(0.2, 1) * across, None


def _quadratic(rng: np.random.Generator) -> Table:
    top, side = rng.uniform(0, 1, 2)
    x, y = (SHARE - top) * rng.uniform(0.8, 1.6), (MODEL - side) * rng.uniform(0.5, 1.2)
    return -(x * x + 2 * rng.uniform(-0.7, 0.7) * x * y + y * y), None


def _matern(rng: np.random.Generator) -> Table:
    places = np.stack([axis.ravel() for axis in np.broadcast_arrays(SHARE, MODEL)], 1)
    apart = (places[:, None] - places[None]) / rng.uniform(0.5, 1.5, 2)
    r = np.sqrt(3 * np.sum(apart**2, 2))
    covariance = (1 + r) * np.exp(-r) + 1e-9 * np.eye(len(r))
    return rng.multivariate_normal(np.zeros(len(r)), covariance, method="eigh").reshape(5, 3), None


def _ridges(rng: np.random.Generator) -> Table:
    slant = rng.choice([-1, 1]) * rng.uniform(0.2, 0.5)
    top = rng.uniform(0.25, 0.75) + slant * np.array([-1, 0, 1])
    height = 1 - rng.permutation([0, 0.12, 0.25]) * rng.uniform(0.5, 1.2)
    tails = 1 + ((SHARE - top) / rng.uniform(0.15, 0.3)) ** 2
    return height / tails + rng.uniform(-0.1, 0.1) * SHARE, None


def _cliffs(rng: np.random.Generator) -> Table:
    load = SHARE * rng.uniform(0.8, 1.2) + np.sort(rng.uniform(0, 0.7, 3))
    values = rng.uniform(0.2, 1) * np.sqrt(SHARE + 0.05) + np.cumsum(rng.uniform(0, 0.3, 3))
    return values, _deficits(load, int(rng.integers(3, 8)))


def _two_walls(rng: np.random.Generator) -> Table:
    high = _deficits(SHARE + np.sort(rng.uniform(0, 0.7, 3)), int(rng.integers(3, 6)))
    low = np.where(SHARE < 0.2, 0.05 + 0.1 * MODEL - rng.uniform(0, 0.1), -0.2 - 0.2 * SHARE)
    hill = rng.uniform(0, 0.6) * (SHARE - 0.4) ** 2
    values = rng.uniform(0.2, 0.8) * SHARE + np.cumsum(rng.uniform(0, 0.3, 3)) - hill
    return values, np.maximum(high, low)


def _deficits(load: np.ndarray, over: int) -> np.ndarray:
    """Return what each cell lacks, where the `over` cells with the largest load do not fit."""
    steps = np.sort(load.ravel())
    return np.asarray(load - (steps[14 - over] + steps[15 - over]) / 2)


FAMILIES: Mapping[str, Callable[[np.random.Generator], Table]] = {
    "hills": _hills,
    "quadratic": _quadratic,
    "matern": _matern,
    "ridges": _ridges,
    "cliffs": _cliffs,
    "failures-only": _cliffs,
    "wrong-direction": _cliffs,
    "two-walls": _two_walls,
}
