"""A confirmation of 0.1 asked each metric to be no worse by a margin; it is read here; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from objectives.figures import figure
from study.confirmation.verdict.wording import gain_pct, signed
from study.confirmation.verdict_line import MetricLine
from study.promotion.status import Status
from study.text import one_line

HOW = "95 % intervals; the word says how it stands to its margin, as 0.1 asked"
STANDINGS = {
    "better": ("better", "better"),
    "no_worse": ("no worse", ""),
    "worse": ("worse", "worse"),
    "cannot_tell": ("cannot be told yet", "worse"),
}


def summary(verdict: Status, pairs: int, more: int | None) -> str:
    """Return the verdict with the number of pairs, and that its rule was another."""
    by = "by" if verdict is Status.CONFIRMED else "after"
    words = f"{verdict} {by} {pairs} pairs, by version 0.1's rule: nothing worse by a margin"
    return f"{words}, about {more} more would tell" if more else words


def lines(c: Mapping[str, Any]) -> Iterator[MetricLine]:
    """Yield each metric that has a gain.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: A figure is none.
    """
    for workload, metrics in c["figures"].items():
        for metric, f in metrics.items():
            if f["standing"] not in STANDINGS or f.get("gain_pct") is None:
                continue
            standing, sense = STANDINGS[f["standing"]]
            low, high = f["low_pct"], f["high_pct"]
            if not all(math.isfinite(x) for x in (f["mean_log_ratio"], low or 0.0, high or 0.0)):
                raise ValueError(f"{metric} has a figure that is none")
            interval = "one pair" if low is None else f"{signed(low)} to {signed(high)}"
            gain = signed(gain_pct(figure(metric).direction, f["mean_log_ratio"]))
            names = one_line(workload), one_line(metric)
            yield MetricLine(*names, gain, interval, standing, sense, standing == "worse")


def not_measured(c: Mapping[str, Any]) -> list[str]:
    """Return what 0.1 had asked and not measured."""
    return [
        f"{metric} ({workload})"
        for workload, metrics in c["figures"].items()
        for metric, f in metrics.items()
        if f.get("standing") == "not_measured"
    ]


def fixed(c: Mapping[str, Any]) -> str:
    """Say what was fixed before, and by how much everything else might be worse."""
    own = c.get("margins_pct", {}).items()
    parts = [f"{float(c['margin_pct']):g} %", *(f"{m} {pct:g} %" for m, pct in sorted(own))]
    return f"The claim, {c['claim']}, and by how much all else may be worse ({', '.join(parts)})"
