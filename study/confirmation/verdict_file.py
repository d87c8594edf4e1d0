"""This module reads the confirmation of a promotion for a report; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.confirmation.protocol import Margins, gain_pct
from study.confirmation.wording import FIXED_BEFORE, signed
from study.promotion.status import VERDICTS, Status
from study.text import one_line

STANDINGS = {
    "better": ("better", "better"),
    "no_worse": ("no worse", ""),
    "worse": ("worse", "worse"),
    "cannot_tell": ("cannot be told yet", "worse"),
}


@dataclass(frozen=True, slots=True)
class MetricLine:
    """A line has one metric under one workload, as text.

    Args:
        workload: The name of the workload.
        metric: The name of the metric.
        gain: The gain with its sign, e.g. "+12.3 %".
        interval: The interval of the gain.
        standing: How the winner compares with the baseline.
        sense: "better", "worse" or empty.
    """

    workload: str
    metric: str
    gain: str
    interval: str
    standing: str
    sense: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A confirmation is told in a report by these words.

    Args:
        file: The promotion's name.
        verdict: Confirmed, rejected or inconclusive.
        summary: The verdict with the number of pairs.
        says: The claim in a sentence.
        reasons: What kept it from being confirmed.
        checks: What was not checked, and how it was done, a sentence each.
        lines: The metrics that were measured.
        is_replay: Whether it was judged by a recording's launches.
        measured: When its own launches were, and on how many devices.
    """

    file: str
    verdict: Status
    summary: str
    says: str
    reasons: tuple[str, ...]
    checks: tuple[str, ...]
    lines: tuple[MetricLine, ...]
    is_replay: bool
    measured: str

    @property
    def against(self) -> tuple[str, ...]:
        """Return what speaks against the winner; nothing where more pairs would tell."""
        return () if self.verdict is Status.INCONCLUSIVE else self.reasons

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what speaks against it or is open, and what was not checked, a sentence each."""
        begin = "Open" if self.verdict is Status.INCONCLUSIVE else "Against it"
        return (*(f"{begin}: {reason}." for reason in self.reasons), *self.checks)

    @property
    def standing(self) -> str:
        """Return how sure the answer is, in a few words."""
        origin = ", from a recording: not valid for this machine" if self.is_replay else ""
        return f"{self.summary}{origin}"


def _measured(c: Mapping[str, Any]) -> str:
    """Say when and on how many devices, e.g. 2026-11-25 to 2026-11-27, 2 devices."""
    days = [str(c[key])[:10] for key in ("first_pair_at", "last_pair_at") if c.get(key)]
    when, devices = " to ".join(dict.fromkeys(days)), len(c["cards"])
    return one_line(f"{when}, {devices} device{'s' * (devices != 1)}")


def read_confirmation(data: Mapping[str, Any], file: str) -> Confirmation:
    """Read the confirmation of a sealed promotion.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, OverflowError: It is none as this version
            writes it.
    """
    c = data["confirmation"]
    pairs, more = int(c["pairs"]), c["pairs_more"] and int(c["pairs_more"])
    if c["verdict"] not in VERDICTS or pairs < 0:
        raise ValueError(f"its verdict is {c['verdict']!r} after {pairs} pairs")
    verdict = Status(c["verdict"])
    summary = (
        f"{verdict} by {pairs} pairs of fresh launches"
        if verdict is Status.CONFIRMED
        else f"{verdict} after {pairs} pairs"
    )
    if verdict is Status.INCONCLUSIVE:
        summary += (
            f", about {more} more would tell"
            if more
            else ", and by its figures no number of pairs would tell"
        )
    lines = tuple(
        _line(workload, metric, f)
        for workload, metrics in c["figures"].items()
        for metric, f in metrics.items()
    )
    return Confirmation(
        file,
        verdict,
        summary,
        one_line(c["says"]),
        tuple(one_line(reason) for reason in c["reasons"]),
        tuple(one_line(n) for n in _checks(c, is_replay=bool(data["measured_elsewhere"]))),
        tuple(x for x in lines if x),
        bool(data["measured_elsewhere"]),
        _measured(c),
    )


def _line(workload: str, metric: str, f: Mapping[str, Any]) -> MetricLine | None:
    if f["standing"] not in STANDINGS or f.get("gain_pct") is None:
        return None
    standing, sense = STANDINGS[f["standing"]]
    low, high = f["low_pct"], f["high_pct"]
    if not all(math.isfinite(x) for x in (f["mean_log_ratio"], low or 0.0, high or 0.0)):
        raise ValueError(f"{metric} has a figure that is none")
    interval = "one pair" if low is None else f"{signed(low)} to {signed(high)}"
    gain = signed(gain_pct(metric, f["mean_log_ratio"]))
    return MetricLine(one_line(workload), one_line(metric), gain, interval, standing, sense)


def _checks(c: Mapping[str, Any], *, is_replay: bool) -> list[str]:
    """Say what was not measured, and how it was done."""
    lines = []
    missing = [
        f"{m} ({w})"
        for w, ms in c["figures"].items()
        for m, f in ms.items()
        if f["standing"] == "not_measured"
    ]
    if missing:
        lines.append(f"Not measured, so not judged: {', '.join(missing)}.")
    if c["workloads"] == ["main"]:
        lines.append("It was not repeated on another workload.")
    stress = c["stress"]
    if stress is None:
        lines.append(
            "The winner was not stressed, and speech was not restarted beside the LLM server."
        )
    elif stress["least_free_memory_mib"] is not None:
        lines.append(
            f"Stress: {stress['llm_requests_at_once']} prompts of "
            f"{stress['prompt_tokens']:,} tokens and {stress['clips_at_once']} clips at once left "
            f"{stress['least_free_memory_mib']:,.0f} MiB free."
        )
    aa, fixed = (
        c["aa"]["pairs"],
        "chosen when the launches were known" if is_replay else FIXED_BEFORE,
    )
    lines.append(
        f"The claim, {c['claim']}, was {fixed}, "
        "and by how much everything else may be worse: "
        f"{Margins(c['margin_pct'], c.get('margins_pct', {}))}. Order: {c['order']}; "
        f"{aa or 'no'} pairs of today's allocation against itself; "
        f"{len(c['left_out'])} left out as disturbed; begun anew {c['begun_anew']} times."
    )
    return lines
