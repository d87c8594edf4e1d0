"""This module makes problems of the functions of COCO's bbob-mixint."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from optuna.distributions import FloatDistribution, IntDistribution
from scipy.optimize import minimize_scalar

from study.sampler_benchmark.problems.problem import Coordinates, Problem, Truth, stream


@lru_cache(maxsize=512)
def mixint(seed: int) -> Problem:
    """Return a function of COCO's bbob-mixint in five dimensions; the seed goes through 24 of them.

    The axes have 2, 4, 8 and 16 whole values, and one is continuous. COCO does not tell the
    optimum: the best of a fine grid over all whole values stands for it, improved along the
    continuous axis. The median and the best 1 % are those of 4,096 random points.
    """
    import cocoex  # noqa: PLC0415  an extra

    instance, function = divmod(seed, 24)
    only = f"dimensions: 5 function_indices: {function + 1} instance_indices: {instance % 15 + 1}"
    target = next(iter(cocoex.Suite("bbob-mixint", "", only)))
    low, high = target.lower_bounds, target.upper_bounds
    whole = [IntDistribution(int(a), int(b)) for a, b in zip(low[:4], high[:4], strict=True)]
    space = {
        **{f"n{i}": axis for i, axis in enumerate(whole)},
        "x": FloatDistribution(float(low[4]), float(high[4])),
    }

    def loss(point: ArrayLike) -> float:
        return float(target(np.asarray(point, float)))

    grid = [(*n, x) for n in np.ndindex(2, 4, 8, 16) for x in np.linspace(low[4], high[4], 21)]
    leaders = sorted((loss(p), p) for p in grid)[:8]
    best = min(
        _polished(loss, p, (high[4] - low[4]) / 20, float(low[4]), float(high[4]))
        for _, p in leaders
    )
    rng = stream("points", seed)
    columns = [rng.integers(axis.high + 1, size=4096) for axis in whole]
    points = np.column_stack([*columns, rng.uniform(low[4], high[4], 4096)])
    losses = np.array([loss(p) for p in points])
    median = float(np.median(losses))
    return Problem(
        name="bbob-mixint",
        seed=seed,
        space=space,
        outcome=lambda key: Truth(-loss(_clipped(key, low, high))),
        noise=lambda _key, _k: 0.0,
        best=-best,
        median=-median,
        worst=-float(losses.max()),
        near=(float(np.quantile(losses, 0.01)) - best) / (median - best),
    )


def _clipped(key: Coordinates, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    inside: np.ndarray = np.clip(np.asarray(key, float), low, high)
    return inside


def _polished(
    loss: Callable[[ArrayLike], float],
    point: tuple[float, ...],
    width: float,
    low: float,
    high: float,
) -> float:
    """Return the least loss along the last axis around a point, by bounded search."""
    bounds = (max(low, point[-1] - width), min(high, point[-1] + width))
    result = minimize_scalar(lambda x: loss((*point[:-1], x)), bounds=bounds, method="bounded")
    return min(float(result.fun), loss(point))
