"""This module turns launches into log-ratios of every metric under every workload; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from objectives.engines.engine import apis_of
from objectives.figures import Direction, figure, figures_of, judged
from objectives.fitness import reference_of
from objectives.measurement import INFINITE, Measurement
from study.confirmation.protocol import MetricKey
from study.confirmation.records import Pair
from study.confirmation.verdict.metric_comparison import LOST
from study.search.score import Scorer
from study.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale is the baseline's first launch: the fitness of every other one is relative to it.

    Args:
        spec: The study's spec, by which a launch is scored.
        first: What that launch measured, by workload.
    """

    spec: Spec
    first: Mapping[str, Measurement]

    def value(self, key: MetricKey, measured: Measurement) -> float | None:
        """Return one metric of one launch; None where it was not measured."""
        if key.metric != "fitness":
            value: float | None = measured.figure(key.metric)
            return value
        reference = reference_of(self.first[key.workload])
        if reference is None:
            return None
        scorer = Scorer(self.spec.fitness, self.spec.gates, self.spec.workload)
        return scorer.score(measured, reference, None, same_speech=True).fitness.value


def scale(spec: Spec, pairs: Sequence[Pair]) -> Scale:
    """Return the scale that the first launch sets; A/A comes first, so it is the baseline's."""
    return Scale(spec, pairs[0].of("baseline").measured if pairs else {})


def gains(
    by: Scale, pairs: Sequence[Pair], workloads: Sequence[str]
) -> dict[MetricKey, tuple[float | None, ...]]:
    """Return the log-ratio of every metric in every pair, positive where the winner is better."""
    metrics = judged(figures_of(apis_of(by.spec.services)))
    keys = [MetricKey(workload, metric) for workload in workloads for metric in metrics]
    return {key: tuple(_gain(by, key, pair) for pair in pairs) for key in keys}


def _gain(by: Scale, key: MetricKey, pair: Pair) -> float | None:
    old, new = (
        by.value(key, pair.of(role).measured[key.workload]) for role in ("baseline", "winner")
    )
    return log_ratio(old, new, is_up=figure(key.metric).direction is Direction.UP)


def log_ratio(old: float | None, new: float | None, *, is_up: bool) -> float | None:
    """Return how much better `new` is, as a log-ratio.

    None where the baseline gives nothing to compare with, LOST where the winner gives nothing.

    >>> log_ratio(200, 100, is_up=False) == log_ratio(100, 200, is_up=True) == math.log(2)
    True
    >>> log_ratio(None, 5, is_up=False), log_ratio(5, float("inf"), is_up=False)
    (None, -inf)
    >>> log_ratio(0, 0, is_up=True)
    0.0
    """
    if old is None or old == INFINITE:
        return None
    if new is None or new == INFINITE:
        return LOST
    if old == new:
        return 0.0
    if old <= 0:
        return None
    if new <= 0:
        return LOST
    return math.log(new / old) * (1 if is_up else -1)


def middle(by: Scale, key: MetricKey, pairs: Sequence[Pair]) -> tuple[float | None, float | None]:
    """Return the mean over the launches of the baseline and of the winner.

    None where a launch has no finite figure.
    """
    means = []
    for role in ("baseline", "winner"):
        values = [by.value(key, pair.of(role).measured[key.workload]) for pair in pairs]
        finite = [v for v in values if v is not None and v != INFINITE]
        means.append(fmean(finite) if finite and len(finite) == len(values) else None)
    return means[0], means[1]


def failed_more(pairs: Sequence[Pair], workloads: Sequence[str]) -> dict[str, float | None]:
    """Return by how much the winner's share of failed requests is above the baseline's.

    It is None for a workload where it was not counted in some launch; without pairs there are no
    workloads.
    """
    return {name: _failed_more(pairs, name) for name in workloads} if pairs else {}


def _failed_more(pairs: Sequence[Pair], workload: str) -> float | None:
    gaps = []
    for p in pairs:
        winner, baseline = (
            p.of(role).measured[workload].failure_rate for role in ("winner", "baseline")
        )
        if winner is None or baseline is None or not (0 <= winner <= 1 and 0 <= baseline <= 1):
            return None
        gaps.append(winner - baseline)
    return fmean(gaps)


def launch_noise(gains_of_aa: Sequence[float | None]) -> float | None:
    """Return the standard deviation of one launch as a log-ratio, from A/A pairs.

    Their true mean is 0. None where it was not measured.

    >>> round(launch_noise([0.02, -0.02]), 4)
    0.0141
    """
    ratios = [g for g in gains_of_aa if g is not None and g != LOST]
    if not ratios or len(ratios) < len(gains_of_aa):
        return None
    return math.sqrt(fmean(g * g for g in ratios) / 2)


def resolution_pct(pairs: Sequence[Pair], workload: str) -> float | None:
    """Return the widest bracket of a capacity, percent of the rate that passed.

    None where a launch has none.
    """
    worst = 0.0
    for pair in pairs:
        for launch in pair.launches:
            bracket = launch.measured[workload].capacity_bracket
            rates = [rate for rate in bracket if rate is not None]
            if len(rates) < 2 or not rates[0]:
                return None
            worst = max(worst, 100 * (rates[1] / rates[0] - 1))
    return worst
