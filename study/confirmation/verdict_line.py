"""`MetricLine` is one figure of a confirmation, as a report shows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MetricLine:
    """A line has one metric under one workload, as text.

    Args:
        workload: The name of the workload.
        metric: The name of the metric.
        gain: The gain with its sign, e.g. "+12.3 %".
        interval: The interval of the gain.
        standing: How the winner compares with the baseline, or stands to its limit.
        sense: "better", "worse" or empty.
        is_worse: Whether it is shown to be worse.
    """

    workload: str
    metric: str
    gain: str
    interval: str
    standing: str
    sense: str
    is_worse: bool
