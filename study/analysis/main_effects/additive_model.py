"""This module fits the additive model of a space, one term a parameter, with statsmodels.

Levels are categories; of a time, the logarithm is modelled. A configuration weighs the same however
often it was launched. Where several cards measured, the card is a block: it gets a term of its own,
but one configuration that two cards measured counts once in the degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objectives.allocation import Scalar
from objectives.errors import SetupError
from objectives.figures import figure
from objectives.measurement import Measurement

MOST_VALUES = 64  # of a parameter: a table of more is read by nobody, and takes minutes to fit
LEAST_RESIDUALS = 5  # degrees of freedom: with fewer, a residual may be small by luck
NO_RESIDUAL = 1e-18  # of the sum of squares: what is left below it is rounding, not a residual
NEEDS_STATSMODELS = (
    "the table of effects needs statsmodels: pip install 'gpu-allocation-study[effects]'"
)
CARD = "card"
FactorLevels = Mapping[str, Scalar]  # a launch's parameters, and its card where there were several
Observations = Sequence[tuple[FactorLevels, Measurement]]


class NotEstimableError(Exception):
    """The observations do not determine the effects; the message says why in a sentence."""


@dataclass(frozen=True, slots=True)
class AdditiveModel:
    """A model is the additive one of one figure, as statsmodels fitted it.

    Args:
        axes: The levels of each parameter.
        terms: The columns of the design that belong to each parameter.
        fit: The RegressionResults of statsmodels.
        is_exact: Whether the model leaves nothing but rounding.
        repeats: The figures of each configuration that one card launched more than once.
    """

    axes: Mapping[str, list[Scalar]]
    terms: Mapping[str, slice]
    fit: Any
    is_exact: bool
    repeats: Sequence[Sequence[float]]

    @property
    def residual(self) -> float:
        """Return the standard deviation around the model."""
        return 0.0 if self.is_exact else math.sqrt(self.fit.mse_resid)

    def p_value(self, parameter: str) -> float:
        """Return the p value of a parameter's term.

        Sums of squares of type 2 and type 3 are the same where nothing interacts.
        """
        rows = np.eye(len(self.fit.params))[self.terms[parameter]]
        if self.is_exact:  # F would be rounding over rounding
            largest = float(np.abs(self.fit.model.endog).max())
            return float(np.allclose(rows @ self.fit.params, 0.0, atol=1e-9 * largest))
        return float(self.fit.f_test(rows).pvalue)

    def estimates(
        self, parameter: str, rows: NDArray[np.float64], of_mean: float
    ) -> list[tuple[float, float]]:
        """Estimate sums of a parameter's effects, each with half its 95 % interval.

        Args:
            parameter: The parameter.
            rows: The weights of its effects, one row for each sum.
            of_mean: How much of the grand mean is added to each sum.
        """
        weights = np.zeros((len(rows), len(self.fit.params)))
        weights[:, 0], weights[:, self.terms[parameter]] = of_mean, rows
        test = self.fit.t_test(weights)
        low, high = test.conf_int(0.05).T
        return list(zip(test.effect.tolist(), ((high - low) / 2).tolist(), strict=True))


def model(observations: Observations, metric: str) -> AdditiveModel:
    """Fit the model of a figure of `Measurement`.

    Raises:
        NotEstimableError: Too little was measured for it, or two parameters always changed
            together.
        SetupError: Statsmodels is not installed.
    """
    cells = _cells(observations, metric, is_time=is_time(metric))
    axes = _axes([levels for levels, _ in cells])
    for name, values in axes.items():
        if len(values) > MOST_VALUES:
            raise NotEstimableError(f"{name} has {len(values)} values, more than {MOST_VALUES}")
    coded = {
        name: contrasts(len(values))[[values.index(levels[name]) for levels, _ in cells]]
        for name, values in axes.items()
    }
    design = np.column_stack([np.ones(len(cells)), *coded.values()])
    spare = configuration_count(levels for levels, _ in cells) - design.shape[1]
    _refuse(axes, design, spare)
    ends = np.cumsum([1, *(term.shape[1] for term in coded.values())]).tolist()
    terms = {name: slice(*ends[n : n + 2]) for n, name in enumerate(coded)}
    response = np.array([np.mean(figures) for _, figures in cells])
    fit = _fit(design, response, spare)
    is_exact = bool(fit.ssr <= NO_RESIDUAL * float(response @ response))
    return AdditiveModel(
        axes, terms, fit, is_exact, [figures for _, figures in cells if len(figures) > 1]
    )


def _fit(design: NDArray[np.float64], response: NDArray[np.float64], spare: int) -> Any:
    try:  # imported here: it is an extra, and takes a second
        from statsmodels.regression.linear_model import OLS  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if error.name != "statsmodels":
            raise
        raise SetupError(NEEDS_STATSMODELS) from None
    ols = OLS(response, design)
    ols.df_resid = spare  # what two cards measured is not twice the information
    return ols.fit()


def is_time(metric: str) -> bool:
    """Return whether a figure is a time, of which the logarithm is modelled."""
    return figure(metric).unit == "ms"


def configuration_count(launches: Iterable[FactorLevels]) -> int:
    """Count the different configurations, whatever the card."""
    return len({frozenset((k, v) for k, v in levels.items() if k != CARD) for levels in launches})


def _refuse(axes: Mapping[str, Sequence[Scalar]], design: NDArray[np.float64], spare: int) -> None:
    if not axes:
        raise NotEstimableError("nothing was varied where it was measured")
    if spare < LEAST_RESIDUALS:
        count, least = spare + design.shape[1], design.shape[1] + LEAST_RESIDUALS
        raise NotEstimableError(
            f"{count} configurations have a figure, and {len(axes)} parameters need {least}"
        )
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise NotEstimableError(
            "some parameters always changed together, so none of them can be blamed"
        )


def _cells(
    observations: Observations, metric: str, *, is_time: bool
) -> list[tuple[FactorLevels, list[float]]]:
    """Return each configuration on each card with its figures, of a time their logarithms."""
    cells: dict[frozenset[tuple[str, Scalar]], tuple[FactorLevels, list[float]]] = {}
    for levels, measurement in observations:
        value = measurement.figure(metric)
        if value is not None and math.isfinite(value) and (value > 0 or not is_time):
            _, figures = cells.setdefault(frozenset(levels.items()), (levels, []))
            figures.append(math.log(value) if is_time else value)
    return list(cells.values())


def _axes(launches: Sequence[FactorLevels]) -> dict[str, list[Scalar]]:
    """Return the parameters with more than one measured value, each with its values in order."""
    names = dict.fromkeys(name for levels in launches for name in levels)
    axes = {name: {levels[name] for levels in launches} for name in names}
    return {name: sorted(values, key=sort_key) for name, values in axes.items() if len(values) > 1}


def sort_key(value: Scalar) -> tuple[bool, Scalar]:
    """Return the sort key of a parameter's value: numbers come first, then words."""
    return isinstance(value, str), value


def contrasts(count: int) -> NDArray[np.float64]:
    """Return the sum coding of `count` levels, one row a level.

    Each level is held against the mean of all; the last is minus the sum of the others.
    """
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])
