"""Which parameter matters, and how much: main effects on a figure, from what was measured of a space. Pure.

An additive linear model of the configurations' means, one term a parameter, the levels taken as categories; of the
logarithm where the figure is a time. A configuration weighs the same however often it was launched. Analysis of
variance as in Montgomery, Design and Analysis of Experiments (2017), chapters 3 to 5. What the model leaves out,
interactions and the noise of a launch, is its residual, from which the intervals come. Where several cards measured,
the card is a block: one more term, but what two cards measured is one configuration when it is counted what is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, stdtrit

from objectives.allocation import Scalar
from objectives.measurement import INFINITE, Measurement
from study.holm import holm

LEAST_RESIDUALS = 5  # degrees of freedom: with fewer, a residual may be small by luck
CARD = "card"
Given = Mapping[str, Scalar]  # a launch's parameters, and its card where there were several
Observed = Sequence[tuple[Given, Measurement]]


class UntoldError(Exception):
    """Why there are no effects to tell, in a sentence."""


@dataclass(frozen=True, slots=True)
class Level:
    """One value of a parameter: the figure to expect with it, all other parameters' levels weighing the same.

    mean: in the figure's unit; half_width: of the 95 % interval, in the same unit, or, of a time, the share by which
    it may be multiplied or divided
    """

    value: Scalar
    mean: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Effect:
    """One parameter's levels, and how likely so large an effect is where it has none: `p_value`, corrected by Holm."""

    parameter: str
    levels: tuple[Level, ...]
    p_value: float


@dataclass(frozen=True, slots=True)
class Effects:
    """The main effects on one figure.

    residual: standard deviation of a configuration's mean around the model; noise: of one launch, from the `again`
    configurations that one card launched more than once, None where none was; both a share where the figure is a time
    """

    metric: str
    of: tuple[Effect, ...]
    residual: float
    noise: float | None
    again: int


def main_effects(observed: Observed, metric: str) -> Effects:
    """What each parameter does to a figure of `Measurement`. One that was the same everywhere has no effects: p is 1.

    raises: UntoldError where too little was measured for it, or two parameters always changed together

    >>> def launch(share, size, ms):
    ...     return ({"vllm_memory_util": share, "whisper_model_size": size}, Measurement(llm_tpot_ms=ms))
    >>> grid = [(s, w) for s in (0.4, 0.5, 0.6, 0.7) for w in ("tiny.en", "base", "small")]
    >>> told = main_effects([launch(s, w, 10 * (2 if s > 0.5 else 1) + (n % 2)) for n, (s, w) in enumerate(grid)], "llm_tpot_ms")
    >>> [(e.parameter, e.p_value < 0.05, [round(v.mean) for v in e.levels]) for e in told.of]
    [('vllm_memory_util', True, [10, 11, 20, 21]), ('whisper_model_size', False, [15, 15, 15])]
    """  # noqa: E501  one statement a line
    is_time = metric.endswith("_ms")
    cells = _cells(observed, metric, is_time=is_time)
    axes = _axes([given for given, _ in cells])
    response = np.array([np.mean(figures) for _, figures in cells])
    terms = {name: _coded([given[name] for given, _ in cells], levels) for name, levels in axes.items()}
    design = np.column_stack([np.ones(len(cells)), *terms.values()])
    spare = configurations(given for given, _ in cells) - design.shape[1]
    _refuse(axes, design, spare)
    found, left = _fitted(design, response)
    spread = left / spare * np.linalg.inv(design.T @ design)
    effects, at = [], 1
    for name, term in terms.items():
        columns = slice(at, at := at + term.shape[1])
        gained = _fitted(np.delete(design, columns, axis=1), response)[1] - left
        ratio = gained / term.shape[1] / (left / spare) if left else INFINITE if gained else 0.0
        levels = []
        for row, value in zip(_contrasts(len(axes[name])), axes[name], strict=True):
            weights = np.zeros(design.shape[1])
            weights[0], weights[columns] = 1.0, row
            mean, half = weights @ found, stdtrit(spare, 0.975) * np.sqrt(weights @ spread @ weights)
            told = (np.exp(mean), np.expm1(half)) if is_time else (mean, half)
            levels.append(Level(value, float(told[0]), float(told[1])))
        effects.append(Effect(name, tuple(levels), float(fdtrc(term.shape[1], spare, ratio))))
    corrected = holm([e.p_value for e in effects])
    of = tuple(replace(e, p_value=p) for e, p in zip(effects, corrected, strict=True))
    again = [figures for _, figures in cells if len(figures) > 1]
    return Effects(metric, of, math.sqrt(left / spare), _noise(again), len(again))


def configurations(given: Iterable[Given]) -> int:
    """How many different ones there are, whatever the card."""
    return len({frozenset((k, v) for k, v in g.items() if k != CARD) for g in given})


def _refuse(axes: Mapping[str, Sequence[Scalar]], design: NDArray[np.float64], spare: int) -> None:
    if not axes:
        raise UntoldError("nothing was varied where it was measured")
    if spare < LEAST_RESIDUALS:
        known, needed = spare + design.shape[1], design.shape[1] + LEAST_RESIDUALS
        raise UntoldError(f"{known} configurations have a figure, and {len(axes)} parameters need {needed}")
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
    return _contrasts(len(levels))[[levels.index(v) for v in values]]


def _contrasts(count: int) -> NDArray[np.float64]:
    """Each level against the mean of all: one row a level, the last minus the sum of the others."""
    return np.vstack([np.eye(count - 1), -np.ones(count - 1)])


def _fitted(design: NDArray[np.float64], response: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Least squares: the coefficients, the sum of squares that is left, 0 where it is rounding alone."""
    found = np.linalg.lstsq(design, response, rcond=None)[0].astype(np.float64)
    left = float(np.sum((response - design @ found) ** 2))
    return found, left if left > 1e-18 * float(response @ response) else 0.0


def _noise(again: Sequence[Sequence[float]]) -> float | None:
    """Standard deviation of one launch, pooled over those configurations; None where there are none."""
    if not again:
        return None
    return float(np.sqrt(sum(np.var(of) * len(of) for of in again) / sum(len(of) - 1 for of in again)))
