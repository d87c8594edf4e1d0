"""One cell a configuration: every launch of it, with mean and standard error. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from statistics import fmean, stdev
from typing import Any

from objectives.allocation import Allocation
from objectives.measurement import Measurement
from study.storage.trials import Trial


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration and its launches: those that gave a measurement, and those that failed."""

    allocation: Allocation
    measured: tuple[Trial, ...]
    failed: tuple[Trial, ...]

    @property
    def fitness(self) -> float | None:
        """Mean fitness of the launches that gave a measurement; None where none did."""
        return fmean(self.scores) if self.measured else None

    @property
    def standard_error(self) -> float | None:
        """Standard error of that mean; None below two launches, where nothing is known of the noise."""
        if len(self.measured) < 2:
            return None
        return stdev(self.scores) / math.sqrt(len(self.measured))

    @property
    def scores(self) -> list[float]:
        """The fitness of every launch that gave a measurement."""
        return [r.fitness or 0.0 for r in self.measured]

    @property
    def is_feasible(self) -> bool:
        """Whether every launch worked and met every constraint."""
        return bool(self.measured) and not self.failed and all(r.is_feasible for r in self.measured)

    def values(self, name: str) -> list[float]:
        """A figure of `Measurement` in every launch that measured it."""
        found = [getattr(r.measurement, name) for r in self.measured]
        return [float(v) for v in found if v is not None]

    def mean(self, name: str) -> float | None:
        """The mean of a figure of `Measurement`; None where no launch measured it."""
        known = self.values(name)
        return fmean(known) if known else None

    @property
    def is_lower_bound(self) -> bool:
        """Whether the capacity of some launch is only known to be at least what is said."""
        return any(
            r.measurement is not None and r.measurement.capacity_is_lower_bound
            for r in self.measured
        )


def configurations(rows: Iterable[Trial]) -> list[Configuration]:
    """Every configuration, in the order of its first launch; told repeats are no launches."""
    found: dict[str, list[Trial]] = {}
    for r in rows:
        if r.counts and r.repeat_of is None:
            found.setdefault(str(r.allocation), []).append(r)
    return [
        Configuration(
            launches[0].allocation,
            tuple(r for r in launches if r.measurement is not None),
            tuple(r for r in launches if r.measurement is None),
        )
        for launches in found.values()
    ]


def configuration_of(
    allocation: Allocation, found: Iterable[Configuration]
) -> Configuration | None:
    """The cell of a configuration; None where it was never launched."""
    return next((c for c in found if str(c.allocation) == str(allocation)), None)


def launches(c: Configuration) -> str:
    """How often a configuration was measured, with the standard error where there is one."""
    n = len(c.measured)
    return "1 launch" if n == 1 else f"± {c.standard_error or 0.0:.3f}, {n} launches"


def merged(group: Sequence[Trial]) -> Trial:
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
        contributions={
            k: _mean([r.contributions.get(k) for r in group]) for k in first.contributions
        },
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
