"""The additive model of a space: one term a parameter, fitted by statsmodels to what was measured of it.

Levels are categories; of a time, the logarithm is modelled. A configuration weighs the same however often it was
launched. Where several cards measured, the card is a block: one more term, but what two cards measured is one
configuration when it is counted what is known.
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
from objectives.measurement import Measurement

LEAST_RESIDUALS = 5  # degrees of freedom: with fewer, a residual may be small by luck
ROUNDING = 1e-18  # of the sum of squares: what is left below it is rounding, not a residual
NEEDS_STATSMODELS = (
    "the table of effects needs statsmodels: pip install 'gpu-allocation-study[effects]'"
)
CARD = "card"
Given = Mapping[str, Scalar]  # a launch's parameters, and its card where there were several
Observed = Sequence[tuple[Given, Measurement]]


class UntoldError(Exception):
    """Why there are no effects to tell, in a sentence."""


@dataclass(frozen=True, slots=True)
class Model:
    """The model as statsmodels fitted it: `fit` is its RegressionResults.

    axes: the levels of each parameter; terms: which columns of the design are a parameter's
    is_exact: it leaves nothing but rounding; repeats: the figures of each configuration launched more than once
    """

    axes: Mapping[str, list[Scalar]]
    terms: Mapping[str, slice]
    fit: Any
    is_exact: bool
    repeats: Sequence[Sequence[float]]

    @property
    def residual(self) -> float:
        """Standard deviation around the model."""
        return 0.0 if self.is_exact else math.sqrt(self.fit.mse_resid)

    def p_value(self, parameter: str) -> float:
        """The p value of a parameter's term: type 2 and 3 are the same where nothing interacts."""
        rows = np.eye(len(self.fit.params))[self.terms[parameter]]
        if self.is_exact:  # F would be rounding over rounding
            largest = float(np.abs(self.fit.model.endog).max())
            return float(np.allclose(rows @ self.fit.params, 0.0, atol=1e-9 * largest))
        return float(self.fit.f_test(rows).pvalue)

    def estimates(
        self, parameter: str, rows: NDArray[np.float64], of_mean: float
    ) -> list[tuple[float, float]]:
        """Estimate sums of a parameter's effects, each plus so much of the grand mean, with half the 95 % interval."""
        weights = np.zeros((len(rows), len(self.fit.params)))
        weights[:, 0], weights[:, self.terms[parameter]] = of_mean, rows
        test = self.fit.t_test(weights)
        low, high = test.conf_int(0.05).T
        return list(zip(test.effect.tolist(), ((high - low) / 2).tolist(), strict=True))


def model(observed: Observed, metric: str) -> Model:
    """Fit the model of a figure of `Measurement`.

    raises: UntoldError where too little was measured for it, or two parameters always changed together; SetupError
        where statsmodels is not installed
    """
    cells = _cells(observed, metric, is_time=is_time(metric))
    axes = _axes([setting for setting, _ in cells])
    coded = {
        name: contrasts(len(levels))[[levels.index(setting[name]) for setting, _ in cells]]
        for name, levels in axes.items()
    }
    design = np.column_stack([np.ones(len(cells)), *coded.values()])
    spare = configurations(setting for setting, _ in cells) - design.shape[1]
    _refuse(axes, design, spare)
    ends = np.cumsum([1, *(term.shape[1] for term in coded.values())]).tolist()
    terms = {name: slice(*ends[n : n + 2]) for n, name in enumerate(coded)}
    response = np.array([np.mean(figures) for _, figures in cells])
    fit = _fitted(design, response, spare)
    is_exact = bool(fit.ssr <= ROUNDING * float(response @ response))
    return Model(axes, terms, fit, is_exact, [figures for _, figures in cells if len(figures) > 1])


def _fitted(design: NDArray[np.float64], response: NDArray[np.float64], spare: int) -> Any:
    try:
        from statsmodels.regression.linear_model import OLS  # noqa: PLC0415  it is an extra, and takes a second
    except ModuleNotFoundError as error:
        if error.name != "statsmodels":
            raise
        raise SetupError(NEEDS_STATSMODELS) from None
    ols = OLS(response, design)
    ols.df_resid = spare  # what two cards measured is not twice as much known
    return ols.fit()


def is_time(metric: str) -> bool:
    """Whether a figure is a time, of which the logarithm is modelled."""
    return metric.endswith("_ms")


def configurations(settings: Iterable[Given]) -> int:
    """How many different ones there are, whatever the card."""
    return len({frozenset((k, v) for k, v in s.items() if k != CARD) for s in settings})


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
    cells: dict[frozenset[tuple[str, Scalar]], tuple[Given, list[float]]] = {}
    for setting, measurement in observed:
        figure = measurement.figure(metric)
        if figure is not None and math.isfinite(figure) and (figure > 0 or not is_time):
            _, figures = cells.setdefault(frozenset(setting.items()), (setting, []))
            figures.append(math.log(figure) if is_time else figure)
    return list(cells.values())


def _axes(settings: Sequence[Given]) -> dict[str, list[Scalar]]:
    """The parameters of which more than one value was measured, with those values in order."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    seen = {name: {setting[name] for setting in settings} for name in names}
    return {name: sorted(values, key=in_order) for name, values in seen.items() if len(values) > 1}


def in_order(value: Scalar) -> tuple[bool, Scalar]:
    """Sorts values of one parameter: numbers, then words."""
    return isinstance(value, str), value


def contrasts(count: int) -> NDArray[np.float64]:
    """Sum coding: each level against the mean of all, the last being minus the sum of the others."""
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])
