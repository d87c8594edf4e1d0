"""This module finds of each metric whether the winner is better, no worse or worse; pure.

A finding stands on the log-ratios of the pairs so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from study.analysis.noise import holm
from study.confirmation.protocol import ClaimRule, MetricKey, confidence
from study.confirmation.verdict.paired_statistics import Estimate, estimate, pairs_needed

LOST = float("-inf")  # of a pair: the baseline has a figure, the winner none
FIRST_STOP = 3  # pairs before which nothing ends early
Comparison = Literal["better", "no_worse", "worse", "cannot_tell", "not_measured"]
Gains = Mapping[MetricKey, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding is what is known of one metric under one workload.

    Args:
        key: The metric and its workload.
        standing: How the winner compares with the baseline.
        estimate: The gain; None where no pair has a ratio.
        confidence: The confidence of its interval.
        missing: How many pairs have no ratio.
        pairs_needed: After how many pairs it could be told; None if never.
        claim_p: Its p value, corrected for the number of claims (Holm); None for the primary
            metric, which needs no correction.
    """

    key: MetricKey
    standing: Comparison
    estimate: Estimate | None
    confidence: float
    missing: int = 0
    pairs_needed: int | None = None
    claim_p: float | None = None


def findings_of(gains: Gains, rule: ClaimRule, look: int) -> tuple[Finding, ...]:
    """Return a finding for each metric, at the confidence of this look, counted from 1."""
    level = confidence(look)
    findings = [_finding(key, values, rule, level, look) for key, values in gains.items()]
    claims = {
        i: f.estimate.p
        for i, f in enumerate(findings)
        if f.key != rule.primary and f.estimate and f.estimate.p is not None
    }
    for i, p in zip(claims, holm([*claims.values()]), strict=True):
        f = findings[i]
        is_better = (
            f.standing == "no_worse"
            and p <= 0.05
            and f.estimate is not None
            and f.estimate.mean > 0
        )
        findings[i] = replace(f, standing="better" if is_better else f.standing, claim_p=p)
    return tuple(findings)


def _finding(
    key: MetricKey, values: Sequence[float | None], rule: ClaimRule, level: float, look: int
) -> Finding:
    ratios = [g for g in values if g is not None and g != LOST]
    missing, is_lost = len(values) - len(ratios), LOST in values
    if not ratios:
        return Finding(key, "cannot_tell" if is_lost else "not_measured", None, level, missing)
    gain, is_primary = estimate(ratios, level), key == rule.primary
    above = 0.0 if is_primary else rule.margins.floor(key.metric)
    needed = pairs_needed(gain, above, confidence(look + 1))
    if is_primary:
        standing = _of_primary(gain, missing)
    elif is_lost:
        standing = "cannot_tell"
    # the baseline hardly ever has such a figure: nothing to be worse than
    elif missing and len(ratios) < FIRST_STOP:
        standing = "not_measured"
    else:
        standing = "no_worse" if gain.low is not None and gain.low > above else "cannot_tell"
    if standing == "cannot_tell" and gain.high is not None and gain.high < above:
        standing = "worse"
    return Finding(key, standing, gain, level, missing, needed)


def _of_primary(gain: Estimate, missing: int) -> Comparison:
    # the sign flips at 0.10 two-sided are 0.05 one-sided
    is_better = gain.low is not None and gain.low > 0 and gain.sign_flip_p <= 0.10
    return "better" if is_better and not missing else "cannot_tell"
