"""Which parameter matters, and how much: main effects on a figure, from what was measured of a space. Pure.

Analysis of variance of the additive model (`study.analysis.additive_model`) as in Montgomery, Design and Analysis of
Experiments (2017), chapters 3 to 5. What the model leaves out, interactions and the noise of a launch, is its residual,
from which the intervals come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import fdtrc

from objectives.allocation import Scalar
from objectives.measurement import INFINITE
from study.analysis.additive_model import Observed, UntoldError, contrasts, fitted, is_time, model
from study.analysis.noise import holm, pooled


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

    >>> from objectives.measurement import Measurement
    >>> def launch(share, size, ms):
    ...     return ({"vllm_memory_util": share, "whisper_model_size": size}, Measurement(llm_tpot_ms=ms))
    >>> grid = [(s, w) for s in (0.4, 0.5, 0.6, 0.7) for w in ("tiny.en", "base", "small")]
    >>> told = main_effects([launch(s, w, 10 * (2 if s > 0.5 else 1) + (n % 2)) for n, (s, w) in enumerate(grid)], "llm_tpot_ms")
    >>> [(e.parameter, e.p_value < 0.05, [round(v.mean) for v in e.levels]) for e in told.of]
    [('vllm_memory_util', True, [10, 11, 20, 21]), ('whisper_model_size', False, [15, 15, 15])]
    """  # noqa: E501  one statement a line
    m, effects = model(observed, metric), []
    for name, columns in m.columns.items():
        count = columns.stop - columns.start
        gained = fitted(np.delete(m.design, columns, axis=1), m.response)[1] - m.left
        ratio = gained / count / (m.left / m.spare) if m.left else INFINITE if gained else 0.0
        levels = []
        for row, value in zip(contrasts(count + 1), m.axes[name], strict=True):
            mean, half = m.estimate(name, row, 1.0)
            told = (math.exp(mean), math.expm1(half)) if is_time(metric) else (mean, half)
            levels.append(Level(value, *told))
        effects.append(Effect(name, tuple(levels), float(fdtrc(count, m.spare, ratio))))
    corrected = holm([e.p_value for e in effects])
    of = tuple(replace(e, p_value=p) for e, p in zip(effects, corrected, strict=True))
    noise = math.sqrt(pooled(m.again)[0]) if m.again else None
    return Effects(metric, of, math.sqrt(m.left / m.spare), noise, len(m.again))


def differences(
    observed: Observed, metric: str, parameter: str, value: Scalar
) -> dict[Scalar, tuple[float, ...]]:
    """By the same model, each other value of a parameter against this one: the difference and its 95 % interval.

    Of a time the ratio: 0.73 for 27 % less. Not corrected for how many are looked at.
    raises: UntoldError as `main_effects`, or where that value was not measured beside others

    >>> from objectives.measurement import Measurement
    >>> grid = [({"a": a, "b": b}, Measurement(llm_tpot_ms=10.0 * a + (n % 2) / 9)) for n, (a, b) in
    ...         enumerate((a, b) for a in (1, 2, 4) for b in range(4))]
    >>> {k: [round(x, 2) for x in v] for k, v in differences(grid, "llm_tpot_ms", "a", 2).items()}
    {1: [0.5, 0.5, 0.5], 4: [2.0, 1.99, 2.01]}
    """
    m = model(observed, metric)
    values = m.axes.get(parameter, [])
    if value not in values:
        raise UntoldError(f"{parameter} {value} was not measured beside another value of it")
    rows, told = contrasts(len(values)), {}
    for n, other in enumerate(values):
        if other != value:
            middle, half = m.estimate(parameter, rows[n] - rows[values.index(value)], 0.0)
            ends = (middle, middle - half, middle + half)
            told[other] = tuple(map(math.exp, ends)) if is_time(metric) else ends
    return told
