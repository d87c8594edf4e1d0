"""The additive model of a space: one term a parameter, fitted by least squares to what was measured of it. Pure.

Levels are categories; of a time, the logarithm is modelled. A configuration weighs the same however often it was
launched. Where several cards measured, the card is a block: one more term, but what two cards measured is one
configuration when it is counted what is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from objectives.allocation import Scalar
from objectives.measurement import Measurement

LEAST_RESIDUALS = 5  # degrees of freedom: with fewer, a residual may be small by luck
CARD = "card"
Given = Mapping[str, Scalar]  # a launch's parameters, and its card where there were several
Observed = Sequence[tuple[Given, Measurement]]


class UntoldError(Exception):
    """Why there are no effects to tell, in a sentence."""


@dataclass(frozen=True, slots=True)
class Model:
    """The model as it was fitted.

    columns: which of the design are a parameter's; covariance: of `found`; again: the figures of repeats
    """

    axes: Mapping[str, list[Scalar]]
    columns: Mapping[str, slice]
    design: NDArray[np.float64]
    response: NDArray[np.float64]
    found: NDArray[np.float64]
    covariance: NDArray[np.float64]
    left: float
    spare: int
    again: Sequence[Sequence[float]]

    def estimate(
        self, parameter: str, row: NDArray[np.float64], of_mean: float
    ) -> tuple[float, float]:
        """A combination of a parameter's effects, with so much of the grand mean, and half its 95 % interval."""
        weights = np.zeros(self.design.shape[1])
        weights[0], weights[self.columns[parameter]] = of_mean, row
        sd = np.sqrt(weights @ self.covariance @ weights)
        return float(weights @ self.found), float(stdtrit(self.spare, 0.975) * sd)


def model(observed: Observed, metric: str) -> Model:
    """The model of a figure of `Measurement`.

    raises: UntoldError where too little was measured for it, or two parameters always changed together
    """
    cells = _cells(observed, metric, is_time=is_time(metric))
    axes = _axes([given for given, _ in cells])
    response = np.array([np.mean(figures) for _, figures in cells])
    terms = {
        name: _coded([given[name] for given, _ in cells], levels) for name, levels in axes.items()
    }
    design = np.column_stack([np.ones(len(cells)), *terms.values()])
    spare = configurations(given for given, _ in cells) - design.shape[1]
    _refuse(axes, design, spare)
    ends = np.cumsum([1, *(term.shape[1] for term in terms.values())]).tolist()
    columns = {name: slice(*ends[n : n + 2]) for n, name in enumerate(terms)}
    again = [figures for _, figures in cells if len(figures) > 1]
    found, left = fitted(design, response)
    covariance = left / spare * np.linalg.inv(design.T @ design)
    return Model(axes, columns, design, response, found, covariance, left, spare, again)


def is_time(metric: str) -> bool:
    """Whether a figure is a time, of which the logarithm is modelled."""
    return metric.endswith("_ms")


def configurations(given: Iterable[Given]) -> int:
    """How many different ones there are, whatever the card."""
    return len({frozenset((k, v) for k, v in g.items() if k != CARD) for g in given})


def _refuse(axes: Mapping[str, Sequence[Scalar]], design: NDArray[np.float64], spare: int) -> None:
    if not axes:
        raise UntoldError("nothing was varied where it was measured")
    if spare < LEAST_RESIDUALS:
        known, needed = spare + design.shape[1], design.shape[1] + LEAST_RESIDUALS
        raise UntoldError(
            f"{known} configurations have a figure, and {len(axes)} parameters need {needed}"
        )
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise UntoldError("some parameters always changed together, so none of them can be blamed")


def _cells(observed: Observed, metric: str, *, is_time: bool) -> list[tuple[Given, list[float]]]:
    """Each configuration on each card with the figure of its launches, or the figure's logarithm."""
    found: dict[frozenset[tuple[str, Scalar]], tuple[Given, list[float]]] = {}
    for given, measurement in observed:
        figure = getattr(measurement, metric)
        if figure is not None and math.isfinite(figure) and (figure > 0 or not is_time):
            _, figures = found.setdefault(frozenset(given.items()), (given, []))
            figures.append(math.log(figure) if is_time else figure)
    return list(found.values())


def _axes(found: Sequence[Given]) -> dict[str, list[Scalar]]:
    """The parameters of which more than one value was measured, with those values in order."""
    names = dict.fromkeys(name for given in found for name in given)
    seen = {name: {given[name] for given in found} for name in names}
    return {name: sorted(values, key=in_order) for name, values in seen.items() if len(values) > 1}


def in_order(value: Scalar) -> tuple[bool, Scalar]:
    """Sorts values of one parameter: numbers, then words."""
    return isinstance(value, str), value


def _coded(values: Sequence[Scalar], levels: Sequence[Scalar]) -> NDArray[np.float64]:
    return contrasts(len(levels))[[levels.index(v) for v in values]]


def contrasts(count: int) -> NDArray[np.float64]:
    """Each level against the mean of all: one row a level, the last minus the sum of the others."""
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])


def fitted(
    design: NDArray[np.float64], response: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Least squares: the coefficients, the sum of squares that is left, 0 where it is rounding alone."""
    found = np.linalg.lstsq(design, response, rcond=None)[0].astype(np.float64)
    left = float(np.sum((response - design @ found) ** 2))
    return found, left if left > 1e-18 * float(response @ response) else 0.0
