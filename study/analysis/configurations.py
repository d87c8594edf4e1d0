"""This module groups the trials of one allocation, with the mean and interval of any figure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import consequence_of
from objectives.figures import CAPACITY, FITNESS
from objectives.plain_data.infinity import plain
from objectives.speech.wer import WordVerdict
from study.rule.student_t import t_quantile
from study.storage.trial import State, Trial


@dataclass(frozen=True)
class Configuration:
    """A configuration is an allocation with its launches, those measured and those that failed.

    What follows from them is worked out once: they never change.

    Args:
        allocation: What was launched.
        measured: Trials with a measurement, in the order of their numbers.
        failed: Trials without one; one that another process disturbed says nothing against it.
        dominated: Trials that were given up in the middle, since they could not win.
    """

    allocation: Allocation
    measured: tuple[Trial, ...]
    failed: tuple[Trial, ...]
    dominated: tuple[Trial, ...] = ()

    @property
    def launches(self) -> tuple[Trial, ...]:
        """Return every launch."""
        return (*self.measured, *self.failed, *self.dominated)

    @property
    def number(self) -> int:
        """Return the number of its first launch."""
        return min(t.number for t in (self.measured or self.failed or self.dominated))

    @property
    def is_ruled_out(self) -> bool:
        """Return whether any launch ran out of memory, or would have."""
        return any(t.state is State.PRUNED for t in self.failed)

    @property
    def fails(self) -> bool:
        """Return whether every launch failed, and one of them by its own doing."""
        own = (t.diagnosis for t in self.failed if t.diagnosis is not None)
        is_own = any(not consequence_of(d.failure_class).is_foreign for d in own)
        return is_own and not self.measured

    @property
    def is_given_up(self) -> bool:
        """Return whether it works as far as is known, and was given up since it could not win."""
        return bool(self.dominated) and not self.measured and not self.is_ruled_out

    @cached_property
    def is_feasible(self) -> bool:
        """Return whether it was measured, met every constraint and never ran out of memory."""
        return (
            bool(self.measured)
            and not self.is_ruled_out
            and all(t.is_feasible for t in self.measured)
        )

    @cached_property
    def is_lower_bound(self) -> bool:
        """Return whether the capacity of some launch is only a lower bound."""
        return any(t.measurement and t.measurement.capacity_is_lower_bound for t in self.measured)

    @property
    def has_no_good_rate(self) -> bool:
        """Return whether its ramps measured that no rate of turns is good."""
        return self.mean(CAPACITY) is None and any(
            t.measurement.capacity_or_0 == 0 for t in self.measured if t.measurement
        )

    def values(self, metric: str) -> Sequence[float]:
        """Return a figure of `Measurement`, or the fitness, of every launch that has it."""
        values = self._values.get(metric)
        if values is None:
            values = self._values[metric] = self._read(metric)
        return values

    @cached_property
    def _values(self) -> dict[str, tuple[float, ...]]:
        """Return the values of each figure that was asked for."""
        return {}

    def _read(self, metric: str) -> tuple[float, ...]:
        if metric == FITNESS.flat:
            return tuple(t.fitness or 0.0 for t in self.measured)
        values = [t.measurement.figure(metric) for t in self.measured if t.measurement]
        return tuple(float(v) for v in values if v is not None)

    def mean(self, metric: str) -> float | None:
        """Return the mean over the launches, in the figure's unit; None where no launch has it."""
        values = self.values(metric)
        return fmean(values) if values else None

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Return the 95 % interval of the mean, by Student's t.

        None below two launches, or where a figure is infinite.

        Source: Montgomery, Design and Analysis of Experiments (2017), section 2.4.
        """
        values = self.values(metric)
        if len(values) < 2 or not all(map(math.isfinite, values)):
            return None
        half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
        return fmean(values) - half, fmean(values) + half

    @property
    def fitness(self) -> float | None:
        """Return the mean fitness; None where no launch gave a measurement."""
        return self.mean(FITNESS.flat)

    @property
    def standard_error(self) -> float | None:
        """Return the standard error of the mean fitness; None below two launches."""
        scores = self.values(FITNESS.flat)
        return stdev(scores) / math.sqrt(len(scores)) if len(scores) > 1 else None

    @property
    def contributions(self) -> dict[str, float | None]:
        """Return what each term contributes to the fitness, the mean of launches that have it."""
        names = self.measured[0].contributions if self.measured else ()
        terms = {
            name: [v for t in self.measured if (v := t.contributions.get(name)) is not None]
            for name in names
        }
        return {name: fmean(values) if values else None for name, values in terms.items()}

    @property
    def word_gate(self) -> WordVerdict | None:
        """Return the verdict on its words; of several launches the first that is not a pass."""
        verdicts = [t.word_gate for t in self.measured]
        return next(
            (v for v in verdicts if v != WordVerdict.PASS), verdicts[0] if verdicts else None
        )

    @property
    def figures(self) -> Mapping[str, Any]:
        """Return every figure by its flat name.

        Of several launches it is the mean; where a mean has no meaning, the first launch's.
        """
        records = [t.measurement for t in self.measured if t.measurement is not None]
        if len(records) < 2:
            return records[0].flat() if records else {}
        figures = records[0].flat()
        for name in figures:
            values = [m.figure(name) for m in records]
            numbers = [v for v in values if isinstance(v, float)]
            if numbers and all(v is None or isinstance(v, float) for v in values):
                figures[name] = fmean(numbers)
        users = self.mean("concurrent_capacity")
        means: dict[str, Any] = plain(dict(figures))
        return means | {
            "concurrent_capacity": None if users is None else round(users),
            "lag_exceeded": any(m.lag_exceeded for m in records),
            "oom_events": sum(m.oom_events for m in records),
        }

    def to_json(self, test_id: str) -> dict[str, Any]:
        """Return its first measured launch as a line of metrics.jsonl, with the means of all."""
        figures = {name: value for name, value in self.figures.items() if name != "wall_s"}
        means = {"fitness": self.fitness, "contributions": self.contributions}
        gate = {"word_gate": self.word_gate}
        return self.measured[0].to_json(test_id) | means | gate | figures


def configurations_in(trials: Iterable[Trial]) -> list[Configuration]:
    """Return every configuration, in the order of its first launch.

    A repeat that took a known result is no launch.
    """
    launches: dict[str, list[Trial]] = {}
    for t in trials:
        if t.counts and t.repeat_of is None:
            launches.setdefault(str(t.allocation), []).append(t)
    return [
        Configuration(
            group[0].allocation,
            tuple(t for t in group if t.measurement is not None),
            tuple(t for t in group if t.measurement is None and t.state is not State.DOMINATED),
            tuple(t for t in group if t.state is State.DOMINATED),
        )
        for group in launches.values()
    ]


def ranked(configurations: Iterable[Configuration]) -> list[Configuration]:
    """Return the configurations with the best first, and behind all others what does not work.

    What was given up stands before that.
    """
    return sorted(
        configurations,
        key=lambda c: (not c.is_feasible, not c.is_given_up, -(c.fitness or 0.0), c.number),
    )


def configuration_of(
    allocation: Allocation, among: Iterable[Configuration]
) -> Configuration | None:
    """Return the configuration of an allocation; None where it was never launched."""
    return next((c for c in among if str(c.allocation) == str(allocation)), None)
