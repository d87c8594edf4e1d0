"""This module estimates the main effects of a space's parameters on a figure.

Source: the analysis of variance of the additive model (`additive_model.py`) as in Montgomery,
Design and Analysis of Experiments (2017), chapters 3 to 5. What the model leaves out, interactions
and the noise of a launch, is its residual, from which the intervals come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from objectives.allocation import Scalar
from study.analysis.main_effects.additive_model import (
    NotEstimableError,
    Observations,
    contrasts,
    is_time,
    model,
)
from study.analysis.noise import holm
from study.rule.pooled import pooled


@dataclass(frozen=True, slots=True)
class Level:
    """A level is a value of a parameter, with the figure to expect where others weigh the same.

    Args:
        value: The value of the parameter.
        mean: The figure to expect, in its unit.
        half_width: Half of the 95 % interval, in the figure's unit; of a time, the share by which
            it may be multiplied or divided.
    """

    value: Scalar
    mean: float
    half_width: float


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect is that of one parameter on a figure.

    Args:
        parameter: The name of the parameter.
        levels: Its measured values, in order.
        p_value: How likely so large an effect is where there is none, corrected by Holm.
    """

    parameter: str
    levels: tuple[Level, ...]
    p_value: float


@dataclass(frozen=True, slots=True)
class Effects:
    """These are the main effects on one figure; spreads are a share where the figure is a time.

    Args:
        metric: The name of the figure.
        effects: The effect of each parameter that varied.
        residual: The standard deviation of a configuration's mean around the model.
        noise: The standard deviation of one launch; None where no card repeated a configuration.
        repeat_count: How many configurations one card launched more than once.
    """

    metric: str
    effects: tuple[Effect, ...]
    residual: float
    noise: float | None
    repeat_count: int


def main_effects(observations: Observations, metric: str) -> Effects:
    """Estimate what each parameter does to a figure of `Measurement`.

    A figure that was the same everywhere has no effects: every p value is 1.

    Raises:
        NotEstimableError: Too little was measured for it, or two parameters always changed
            together.
        SetupError: Statsmodels is not installed.

    >>> from objectives.measurement import Measurement
    >>> def launch(share, size, ms):
    ...     levels = {"vllm_memory_util": share, "whisper_model_size": size}
    ...     return levels, Measurement.from_flat({"llm_tpot_ms": ms})
    >>> grid = [(s, w) for s in (0.4, 0.5, 0.6, 0.7) for w in ("tiny.en", "base", "small")]
    >>> launches = [
    ...     launch(s, w, 10 * (2 if s > 0.5 else 1) + (n % 2)) for n, (s, w) in enumerate(grid)
    ... ]
    >>> for effect in main_effects(launches, "llm_tpot_ms").effects:
    ...     print(effect.parameter, effect.p_value < 0.05, [round(x.mean) for x in effect.levels])
    vllm_memory_util True [10, 11, 20, 21]
    whisper_model_size False [15, 15, 15]
    """
    fit = model(observations, metric)
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


def level_differences(
    observations: Observations, metric: str, parameter: str, value: Scalar
) -> dict[Scalar, tuple[float, ...]]:
    """Estimate each other value of a parameter against this one, by the same model.

    The result maps each other value to the difference and the two ends of its 95 % interval; of a
    time, to the ratio: 0.73 for 27 % less. The intervals are not corrected for their number.

    Raises:
        NotEstimableError: As of `main_effects`, or that value was not measured beside others.
        SetupError: Statsmodels is not installed.

    >>> from objectives.measurement import Measurement
    >>> grid = [({"a": a, "b": b}, 10.0 * a + (b % 2) / 9) for a in (1, 2, 4) for b in range(4)]
    >>> launches = [(x, Measurement.from_flat({"llm_tpot_ms": ms})) for x, ms in grid]
    >>> ratios = level_differences(launches, "llm_tpot_ms", "a", 2)
    >>> {k: [round(x, 2) for x in v] for k, v in ratios.items()}
    {1: [0.5, 0.5, 0.5], 4: [2.0, 1.99, 2.01]}
    """
    fit = model(observations, metric)
    values = fit.axes.get(parameter, [])
    if value not in values:
        raise NotEstimableError(f"{parameter} {value} was not measured beside another value of it")
    rows = contrasts(len(values))
    gaps = fit.estimates(parameter, rows - rows[values.index(value)], of_mean=0.0)
    ends = {
        other: (middle, middle - half, middle + half)
        for other, (middle, half) in zip(values, gaps, strict=True)
        if other != value
    }
    return {k: tuple(map(math.exp, v)) for k, v in ends.items()} if is_time(metric) else dict(ends)
