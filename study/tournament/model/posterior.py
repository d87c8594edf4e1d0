"""This module smooths the means of configurations by what their neighbours have shown.

The cost of a Gaussian process grows with the cube of what it is fitted to, so that of many
configurations it gets the best, and some of all others as landmarks. Each of those others is then
expected where the process says, and told its own mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from ..configurations import Axes, coordinates
from .fitting import fit

MOST = 96  # configurations that one process is fitted to
ROUNDS = 2  # where the best turns out to be another one, the process is fitted once more
AT_ONCE = 1024  # rows that are predicted together

# configurations with their values
Measured = Sequence[tuple[Mapping[str, Any], Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Posterior:
    """The posterior is what is known of m configurations, of values to be minimised.

    Args:
        mean: Their smoothed means, (m,).
        variance: The variance of each, (m,).
        joint: The positions of those that the process was fitted to, (k,).
        covariance: The covariance of those, (k, k).
        noise: The variance of one measurement.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    joint: NDArray[np.intp]
    covariance: NDArray[np.float64]
    noise: float


def posterior(measured: Measured, space: Axes, among: NDArray[np.bool_] | None = None) -> Posterior:
    """Return what is known of configurations by their values, which are to be minimised.

    Args:
        measured: Configurations with the values of their measurements.
        space: The search space in which they lie.
        among: Which of them may be the best, (m,); None for all.
    """
    x = coordinates(space, [params for params, _ in measured])
    y = np.array([np.mean(values) for _, values in measured])
    may = np.ones(len(y), dtype=bool) if among is None else among
    if len(y) <= MOST:
        return _fitted(measured, x, y, space, np.arange(len(y)))
    by = y
    for _ in range(ROUNDS):
        belief = _fitted(measured, x, y, space, _chosen(by, may))
        by = belief.mean
        if np.flatnonzero(may)[by[may].argmin()] in belief.joint:
            break
    return belief


def _chosen(y: NDArray[np.float64], may: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the positions of the best that may be, and as many landmarks among all others."""
    order = np.argsort(y, kind="stable")
    leaders = order[may[order]][: MOST // 2]
    others = order[~np.isin(order, leaders)]
    landmarks = others[np.linspace(0, len(others) - 1, MOST - len(leaders)).astype(int)]
    return np.sort(np.concatenate([leaders, landmarks]))


def _fitted(
    measured: Measured,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    space: Axes,
    joint: NDArray[np.intp],
) -> Posterior:
    """Return what a process fitted to some of the configurations tells of all."""
    is_category = np.array([isinstance(d, CategoricalDistribution) for d in space.values()])
    counts = np.array([float(len(values)) for _, values in measured])
    groups = [np.array(measured[at][1]) for at in joint]
    within = float(sum(np.sum((group - group.mean()) ** 2) for group in groups))
    scale = float(np.std(y[joint])) or 1.0
    surrogate = fit(x[joint], is_category, y[joint] / scale, counts[joint], within / scale**2)
    means, covariance = surrogate.joint(x[joint])
    mean, variance = np.empty(len(y)), np.empty(len(y))
    mean[joint], variance[joint] = means, np.diagonal(covariance)
    is_other = np.ones(len(y), dtype=bool)
    is_other[joint] = False
    others = np.flatnonzero(is_other)  # np.setdiff1d imports np.ma for it
    for start in range(0, len(others), AT_ONCE):
        at = others[start : start + AT_ONCE]
        expected, sd = surrogate.predict(x[at])
        weight = sd**2 / (sd**2 + surrogate.noise / counts[at])
        mean[at] = expected + weight * (y[at] / scale - expected)
        variance[at] = sd**2 * (1 - weight)
    square = scale**2
    return Posterior(
        mean * scale, variance * square, joint, covariance * square, surrogate.noise * square
    )
