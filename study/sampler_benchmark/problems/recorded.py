"""This module makes problems of the recordings that ship."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from optuna.distributions import BaseDistribution

from objectives import recording
from objectives.engines.registry import hears_alike
from objectives.errors import BadInput
from objectives.fitness import reference_of
from study.sampler_benchmark.problems.problem import Problem, repeat_noise, tabulated
from study.search.score import Scorer, failure_constraint
from study.spec.load import load

RECORDED_SPECS = {"recorded-h100": "h100_recorded.yaml", "recorded-cpu": "cpu_recorded.yaml"}


def recorded(name: str, seed: int) -> Problem:
    """Return the problem of a recording; the seed draws the order of the repeats."""
    space, cells, deficits = _recorded_cells(name)
    values = np.array([np.mean(c) if c else np.nan for c in cells])
    return tabulated(
        name,
        seed,
        space,
        values,
        lambda i, k: repeat_noise(seed, cells[i], i, k),
        deficits=np.array(deficits),
    )


@cache
def _recorded_cells(
    name: str,
) -> tuple[dict[str, BaseDistribution], list[list[float]], list[float]]:
    """Return the space, the fitness of every repeat of every cell, and each cell's deficit.

    A negative deficit is what the cell left free.
    """
    spec = load(Path(str(files("study"))) / "specs" / RECORDED_SPECS[name])
    if not isinstance(spec.measure, Path):
        raise BadInput(f"{spec.path} replays no recording")
    entries = recording.read(spec.measure)
    baseline = next(e.measurement for e in entries.cell(spec.baseline) if e.measurement)
    reference = reference_of(baseline)
    if reference is None:
        raise BadInput(f"{spec.measure}: the baseline has no finite latency")
    scorer, cells, deficits = Scorer(spec.fitness, spec.gates, spec.workload), [], []
    for allocation in spec.search_space.grid():
        alike = baseline.words if hears_alike(spec.services, allocation, spec.baseline) else ()
        repeats = entries.cell(allocation)
        scores = [
            scorer.score(e.measurement, reference, baseline.words, heard_alike=alike)
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
