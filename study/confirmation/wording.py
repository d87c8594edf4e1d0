"""This module puts a verdict into words: the claim, the outcome, and a line for every metric.

A claim is only as strong as the interval: "at least 10 %" where the whole interval is above it.
"""

from __future__ import annotations

from collections.abc import Sequence

from objectives.figures import CAPACITY, Direction, figure
from study.confirmation.protocol import ClaimRule, gain_pct
from study.confirmation.verdict.judge import PairsVerdict
from study.confirmation.verdict.metric_comparison import Finding
from study.promotion.status import Status

FIXED_BEFORE = "fixed before the first pair"
CLAIMED_PCT = 10.0
MOST_PCT = 1000


def title(metric: str) -> str:
    """Return what a metric is called in a sentence."""
    return figure(metric).title or figure(metric).short


def claim(verdict: PairsVerdict, rule: ClaimRule, resolution_pct: float | None) -> str:
    """Say in one sentence what may be claimed of the primary metric; of one pair, its figure only.

    `resolution_pct` is the widest bracket of a capacity, where capacity is the claim.
    """
    name, f = title(rule.claim), verdict.finding(rule.primary)
    if f is None or f.estimate is None:
        return f"{name}: not measured"
    gain, better = f.estimate, _better(rule.claim)
    point = gain_pct(rule.claim, gain.mean)
    if gain.low is None or gain.high is None:
        return f"{name}: {signed(point)} in one pair, which says nothing yet"
    low, high = (gain_pct(rule.claim, x) for x in (gain.low, gain.high))
    within = f"{100 * f.confidence:g} % interval {signed(low)} to {signed(high)}, {gain.n} pairs"
    if verdict.status is not Status.CONFIRMED:
        return f"{name}: {signed(point)}, {within} (positive is better)"
    is_fine = rule.claim != CAPACITY or (
        resolution_pct is not None and resolution_pct < CLAIMED_PCT
    )
    if low >= CLAIMED_PCT and is_fine:
        return f"{name}: at least {CLAIMED_PCT:g} % {better} ({signed(point)}, {within})"
    if point >= CLAIMED_PCT and is_fine:
        return f"{name}: {CLAIMED_PCT:g} % {better} ({signed(point)}, {within})"
    return f"{name}: {better} ({signed(point)}, {within})"


def further(verdict: PairsVerdict, rule: ClaimRule) -> list[str]:
    """List what else is better, corrected for the number of metrics, if the claim is confirmed."""
    if verdict.status is not Status.CONFIRMED:
        return []
    return [_line(f) for f in verdict.findings if f.standing == "better" and f.key != rule.primary]


def _line(f: Finding) -> str:
    gain = f.estimate
    if gain is None or gain.low is None or gain.high is None:
        return str(f.key)
    low, point, high = (gain_pct(f.key.metric, x) for x in (gain.low, gain.mean, gain.high))
    return f"{f.key}: {signed(point)} ({signed(low)} to {signed(high)})"


def status_in_words(verdict: PairsVerdict) -> str:
    """Say the status in a few words."""
    pairs = f"{verdict.pairs} pair{'' if verdict.pairs == 1 else 's'}"
    match verdict.status:
        case Status.CONFIRMED:
            return f"confirmed by {pairs} of fresh launches"
        case Status.REJECTED:
            return f"rejected after {pairs}"
    if verdict.pairs_more is None:
        return f"inconclusive after {pairs}, and by these figures no number of pairs would tell"
    return f"inconclusive after {pairs}; it would take about {verdict.pairs_more} more"


def findings_table(findings: Sequence[Finding]) -> list[str]:
    """Return a line for every metric that was measured."""
    return [
        f"  {f.key.workload:<18} {f.key.metric:<20} {_spread(f):<34} {f.standing.replace('_', ' ')}"
        for f in findings
        if f.estimate is not None
    ]


def _spread(f: Finding) -> str:
    gain = f.estimate
    if gain is None or gain.low is None or gain.high is None:
        return "one pair" if gain else "-"
    low, point, high = (gain_pct(f.key.metric, x) for x in (gain.low, gain.mean, gain.high))
    return f"{signed(point):>9}  ({signed(low)} to {signed(high)})"


def _better(metric: str) -> str:
    if figure(metric).direction is Direction.DOWN:
        return "shorter"
    return "better" if metric == "fitness" else "more"


def signed(pct: float) -> str:
    """Return a gain in percent with its sign; one beyond a thousand is noise and gets a bound only.

    >>> signed(12.34), signed(-0.02), signed(-4321.0)
    ('+12.3 %', '+0.0 %', 'below -1,000 %')
    """
    if abs(pct) > MOST_PCT:
        return f"{'below -' if pct < 0 else 'above +'}{MOST_PCT:,} %"
    return f"{round(pct, 1) + 0.0:+,.1f} %"
