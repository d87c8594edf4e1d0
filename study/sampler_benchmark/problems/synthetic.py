"""This module draws synthetic problems: kinds of 5 x 3 tables, and a mixed space of six axes.

Each seed draws another.

>>> synthetic("smooth", seed=0).size, synthetic("mixed", seed=0).size
(15, 5760)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from study.sampler_benchmark.problems.families import FAMILIES, WRONG, family
from study.sampler_benchmark.problems.problem import Problem, stream, tabulated

TABLES = ("smooth", "ridge", "cliff", "unstructured")
SYNTHETIC = (*TABLES, *FAMILIES, "mixed")
NOISE = 0.15  # standard deviation, where a table's values go from 0 to 1
SHARE_AXIS = FloatDistribution(0.30, 0.50, step=0.05)
SPEECH_AXIS = CategoricalDistribution(["tiny", "base", "small"])
U = np.linspace(0, 1, 5)[:, None]
MIXED: Mapping[str, BaseDistribution] = {
    "share": FloatDistribution(0.30, 0.65, step=0.05),
    "batch": IntDistribution(1, 6),
    "window": IntDistribution(0, 4),
    "speech": CategoricalDistribution(["tiny", "base", "small", "medium"]),
    "precision": CategoricalDistribution(["int8", "float16", "float32"]),
    "eager": CategoricalDistribution([False, True]),
}


def synthetic(name: str, seed: int, noise: float = 0.0) -> Problem:
    """Draw one of `SYNTHETIC` from the seed; values go from 0 to 1, noise has that deviation."""
    rng = stream(name, seed)

    def noise_of(index: int, k: int) -> float:
        return noise * float(stream("noise", seed, index, k).standard_normal()) if noise else 0.0

    deficits: np.ndarray | None = None
    space: Mapping[str, BaseDistribution] = {"share": SHARE_AXIS, "speech": SPEECH_AXIS}
    match name:
        case "smooth":
            values = _smooth(rng)
        case "ridge":
            values = _ridge(rng)
        case "cliff":
            values, deficits = _cliff(rng)
        case "unstructured":
            values = rng.random((5, 3))
        case _ if name in FAMILIES:
            values, deficits = family(name, rng)
        case _:
            space, values = MIXED, _mixed(rng)
    fitting = values if deficits is None else values[deficits <= 0]
    scaled = (values - fitting.min()) / (fitting.max() - fitting.min())
    full_name = f"noisy-{name}" if noise else name
    share = 0.01 if name == "mixed" else 0.0
    made = tabulated(
        full_name, seed, space, scaled, noise_of, deficits=deficits, target_share=share
    )
    if name == "wrong-direction":
        return replace(made, monotone=WRONG)
    return replace(made, is_silent=name == "failures-only")


def _smooth(rng: np.random.Generator) -> np.ndarray:
    """Draw one hill along the share for each speech model; their tops are near each other."""
    centre = rng.uniform(0, 1) + rng.uniform(-0.15, 0.15, 3)
    return np.asarray(-rng.uniform(0, 0.5, 3) - rng.uniform(0.8, 1.6) * (U - centre) ** 2)


def _ridge(rng: np.random.Generator) -> np.ndarray:
    """Draw a narrow ridge across the table.

    Each speech model has its own best share, and one ridge is the highest.
    """
    centre = rng.uniform(0.3, 0.7) + rng.choice([-1, 1]) * rng.uniform(0.25, 0.45) * np.array(
        [-1, 0, 1]
    )
    height = 1 - rng.permutation([0.0, 0.15, 0.3]) * rng.uniform(0.5, 1)
    return np.asarray(height * np.exp(-(((U - centre) / 0.25) ** 2)) + rng.uniform(-0.1, 0.1) * U)


def _cliff(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw values that rise with every step of memory until it runs out.

    It does so in three to seven cells, the larger models' first. In half of the tables a second
    wall stands at the low end: too little is left for the largest model's cache.
    """
    need = np.sort(rng.uniform(0, 0.6, 3))
    values = (
        rng.uniform(0.3, 1) * U + rng.uniform(0, 0.4) * np.arange(3) + rng.uniform(-0.1, 0.1, 3)
    )
    load = U + need
    steps = np.sort(load.ravel())
    over = int(rng.integers(3, 8))
    deficits = (load - (steps[14 - over] + steps[15 - over]) / 2) / 2
    if rng.random() < 0.5:
        deficits[0, 2] = 0.05
    return np.asarray(values), np.asarray(deficits)


def _mixed(rng: np.random.Generator) -> np.ndarray:
    """Draw a hill on the three ordinals whose top moves with a category and with each other.

    Every category has a height.
    """
    share, batch, window = np.meshgrid(*(np.linspace(0, 1, n) for n in (8, 6, 5)), indexing="ij")
    share, batch, window = (axis[..., None, None, None] for axis in (share, batch, window))
    speech, precision, eager = (np.arange(n) for n in (4, 3, 2))
    tops = rng.uniform(0.1, 0.9, 3)
    moves = rng.uniform(-0.3, 0.3, 4)[speech][:, None, None]
    weights = rng.uniform(0.5, 2, 3)
    hill = (
        weights[0] * (share - tops[0] - moves) ** 2
        + weights[1] * (batch - tops[1] - rng.uniform(-0.4, 0.4) * (window - 0.5)) ** 2
        + weights[2] * (window - tops[2]) ** 2
    )
    heights = (
        rng.uniform(0, 0.6, 4)[speech][:, None, None]
        + rng.uniform(0, 0.4, 3)[precision][:, None]
        + rng.uniform(0, 0.3, 2)[eager]
        + rng.uniform(-0.1, 0.1, (4, 3))[speech[:, None], precision][..., None]
    )
    return np.asarray(heights - hill)
