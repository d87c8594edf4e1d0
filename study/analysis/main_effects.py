"""Which parameter matters, and how much: main effects on a figure, from what was measured of a space.

Analysis of variance of the additive model (`study.analysis.additive_model`) as in Montgomery, Design and Analysis of
Experiments (2017), chapters 3 to 5. What the model leaves out, interactions and the noise of a launch, is its residual,
from which the intervals come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from objectives.allocation import Scalar
from study.analysis.additive_model import Observed, UntoldError, contrasts, is_time, model
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

    raises: UntoldError where too little was measured for it, or two parameters always changed together; SetupError
        where statsmodels is not installed

    >>> from objectives.measurement import Measurement
    >>> def launch(share, size, ms):
    ...     return ({"vllm_memory_util": share, "whisper_model_size": size}, Measurement.from_flat({"llm_tpot_ms": ms}))
    >>> grid = [(s, w) for s in (0.4, 0.5, 0.6, 0.7) for w in ("tiny.en", "base", "small")]
    >>> effects = main_effects([launch(s, w, 10 * (2 if s > 0.5 else 1) + (n % 2)) for n, (s, w) in enumerate(grid)], "llm_tpot_ms")
    >>> [(e.parameter, e.p_value < 0.05, [round(v.mean) for v in e.levels]) for e in effects.of]
    [('vllm_memory_util', True, [10, 11, 20, 21]), ('whisper_model_size', False, [15, 15, 15])]
    """  # noqa: E501  one statement a line
    fit = model(observed, metric)
    corrected = holm([fit.p_value(parameter) for parameter in fit.axes])
    effects = []
    for (parameter, values), p_value in zip(fit.axes.items(), corrected, strict=True):
        means = fit.estimates(parameter, contrasts(len(values)), of_mean=1.0)
        if is_time(metric):
            means = [(math.exp(mean), math.expm1(half)) for mean, half in means]
        levels = tuple(Level(value, *mean) for value, mean in zip(values, means, strict=True))
        effects.append(Effect(parameter, levels, p_value))
    noise = math.sqrt(pooled(fit.repeats)[0]) if fit.repeats else None
    return Effects(metric, tuple(effects), fit.residual, noise, len(fit.repeats))


def differences(
    observed: Observed, metric: str, parameter: str, value: Scalar
) -> dict[Scalar, tuple[float, ...]]:
    """By the same model, each other value of a parameter against this one: the difference and its 95 % interval.

    Of a time the ratio: 0.73 for 27 % less. Not corrected for how many are looked at.
    raises: UntoldError as `main_effects`, or where that value was not measured beside others

    >>> from objectives.measurement import Measurement
    >>> grid = [({"a": a, "b": b}, Measurement.from_flat({"llm_tpot_ms": 10.0 * a + (n % 2) / 9})) for n, (a, b) in
    ...         enumerate((a, b) for a in (1, 2, 4) for b in range(4))]
    >>> {k: [round(x, 2) for x in v] for k, v in differences(grid, "llm_tpot_ms", "a", 2).items()}
    {1: [0.5, 0.5, 0.5], 4: [2.0, 1.99, 2.01]}
    """
    fit = model(observed, metric)
    values = fit.axes.get(parameter, [])
    if value not in values:
        raise UntoldError(f"{parameter} {value} was not measured beside another value of it")
    rows = contrasts(len(values))
    gaps = fit.estimates(parameter, rows - rows[values.index(value)], of_mean=0.0)
    ends = {
        other: (middle, middle - half, middle + half)
        for other, (middle, half) in zip(values, gaps, strict=True)
        if other != value
    }
    return {k: tuple(map(math.exp, v)) for k, v in ends.items()} if is_time(metric) else dict(ends)
