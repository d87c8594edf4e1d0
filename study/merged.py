"""Several measurements of one allocation as one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from statistics import fmean
from typing import Any

from objectives.measurement import Measurement
from study.storage.trials import Row


def merged(group: Sequence[Row]) -> Row:
    """Several measurements of one allocation as one row: every figure the mean of those that have it.

    What is no figure is the first one's; a late generator or a word gate that is not passed counts if any has it.
    """
    first = min(group, key=lambda r: r.number)
    found = [r.measurement for r in group if r.measurement is not None]
    if len(group) == 1 or len(found) < len(group) or first.measurement is None:
        return first
    figures: dict[str, Any] = {}
    for f in fields(Measurement):
        values = [getattr(m, f.name) for m in found]
        known = [float(v) for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if known and all(v is None or isinstance(v, float) for v in values):
            figures[f.name] = fmean(known)
    late, out_of_memory = any(m.lag_exceeded for m in found), sum(m.oom_events for m in found)
    capacity = _mean([m.concurrent_capacity for m in found])
    return replace(
        first,
        fitness=fmean(r.fitness or 0.0 for r in group),
        contributions={k: _mean([r.contributions.get(k) for r in group]) for k in first.contributions},
        word_gate=next((r.word_gate for r in group if r.word_gate != "pass"), first.word_gate),
        measurement=replace(
            first.measurement,
            **figures,
            lag_exceeded=late,
            oom_events=out_of_memory,
            concurrent_capacity=None if capacity is None else round(capacity),
            capacity_is_lower_bound=any(m.capacity_is_lower_bound for m in found),
        ),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return fmean(known) if known else None
