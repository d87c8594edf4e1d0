"""This module makes problems of the recordings that ship."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from optuna.distributions import BaseDistribution

from objectives import recording
from objectives.allocation import SHARE, SPEECH, Allocation
from objectives.errors import BadInput
from objectives.fitness import reference_of
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Space
from objectives.traffic.workload import Workload
from study.sampler_benchmark.problems.problem import Problem, repeat_noise, tabulated
from study.search.score import Scorer, failure_constraint
from study.spec.model import FitnessRule, Gates


@dataclass(frozen=True, slots=True)
class RecordedSpace:
    """A recorded space was measured whole.

    Args:
        file: The recording that ships.
        shares: The LLM's shares of the memory.
        speech_models: The speech models beside them.
        today: The share in use today, beside base.
    """

    file: str
    shares: tuple[float, ...]
    speech_models: tuple[str, ...]
    today: float


RECORDED_SPACES = {
    "recorded-h100": RecordedSpace(
        "h100.jsonl", (0.40, 0.45, 0.50, 0.55, 0.60), ("tiny.en", "base", "small"), 0.50
    ),
    "recorded-cpu": RecordedSpace(
        "cpu.jsonl", (0.30, 0.375, 0.45, 0.525, 0.60), ("tiny.en", "base"), 0.375
    ),
}


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
    source = RECORDED_SPACES[name]
    space = Space((Parameter(SHARE, source.shares), Parameter(SPEECH, source.speech_models)), {})
    entries = recording.read(Path(str(files("objectives"))) / "recordings" / source.file)
    today = Allocation({SHARE: source.today, SPEECH: "base"})
    baseline = next(e.measurement for e in entries.cell(today) if e.measurement)
    reference = reference_of(baseline)
    if reference is None:
        raise BadInput(f"{entries.path}: the baseline has no finite latency")
    scorer, cells, deficits = Scorer(FitnessRule(), Gates(), Workload()), [], []
    for allocation in space.grid():
        repeats = entries.cell(allocation)
        scores = [
            scorer.score(e.measurement, reference, baseline.words, heard_alike=())
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
    return space.distributions(), cells, deficits
