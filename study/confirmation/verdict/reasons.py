"""This module gives the reasons why a winner is rejected, or is not confirmed yet; pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from objectives.speech.wer import WordVerdict
from study.confirmation.protocol import LEAST_PAIRS, ClaimRule, MetricKey
from study.confirmation.verdict.evidence import Evidence
from study.confirmation.verdict.metric_comparison import FIRST_STOP, LOST, Finding
from study.confirmation.verdict.paired_statistics import estimate

SENSIBLE = 100  # pairs that somebody might still measure
LITTLE_PCT = 5.0  # a gain that is below it for sure, and that nobody can show, is none
FAILED_MORE = 0.01  # share of requests that the winner may fail more than the baseline


def reasons_against(
    findings: Sequence[Finding],
    primary: Finding | None,
    evidence: Evidence,
    rule: ClaimRule,
    pairs: int,
) -> Iterator[str]:
    """Yield why the winner is rejected after so many pairs, a sentence each, if it is."""
    yield from evidence.obstacles
    if evidence.words.verdict is WordVerdict.FAIL:
        yield "its words are worse than the gate allows"
    for workload, more in evidence.failed_more.items():
        if more is not None and more > FAILED_MORE:
            yield (
                f"{100 * more:.1f} points more of the requests failed under {workload} "
                "than with the baseline"
            )
    if pairs < FIRST_STOP:
        return
    if primary is not None and primary.estimate is not None and primary.estimate.high is not None:
        high = primary.estimate.high
        is_far = (primary.pairs_needed or SENSIBLE) >= SENSIBLE
        if high < 0:
            yield f"{primary.key} is worse, not better"
        elif high < math.log1p(LITTLE_PCT / 100) and is_far:
            yield (
                f"{primary.key} gains less than {LITTLE_PCT:g} %, "
                f"and {SENSIBLE} pairs would not show it"
            )
    others = [
        f
        for f in findings
        if f is not primary and f.estimate is not None and f.estimate.sd is not None
    ]
    # so strict that among all of them a harmless winner is rejected in 5 of 100 cases at most
    for f in others:
        if f.standing != "worse":
            continue
        strict = estimate(_ratios(evidence, f.key, pairs), 1 - 0.05 / len(others))
        if strict.high is not None and strict.high < rule.margins.floor(f.key.metric):
            yield f"{f.key} is worse by more than {rule.margins.of(f.key.metric):g} %"


def _ratios(evidence: Evidence, key: MetricKey, pairs: int) -> list[float]:
    return [g for g in evidence.gains[key][:pairs] if g is not None and g != LOST]


def still_open(
    findings: Sequence[Finding],
    primary: Finding | None,
    evidence: Evidence,
    rule: ClaimRule,
    pairs: int,
) -> Iterator[str]:
    """Yield what keeps the winner from being confirmed after so many pairs, a sentence each."""
    yield from evidence.doubts
    if pairs < LEAST_PAIRS:
        yield f"{pairs} of at least {LEAST_PAIRS} pairs"
    if pairs < 2:  # no interval yet
        return
    if primary is None or primary.standing == "not_measured":
        yield f"{rule.primary} was not measured"
    elif primary.missing:
        yield f"{rule.primary} was not measured in {primary.missing} of {pairs} pairs"
    elif primary.standing != "better":
        yield f"{rule.primary} is not shown to be better"
    for f in findings:
        if f.key == rule.primary or f.standing in ("better", "no_worse", "not_measured"):
            continue
        worse = f"it may be worse by more than {rule.margins.of(f.key.metric):g} %"
        is_lost = LOST in evidence.gains[f.key][:pairs]
        yield f"{f.key}: {'the winner lacks it in some pairs' if is_lost else worse}"
    for workload, more in evidence.failed_more.items():
        if more is None:
            yield f"failed requests were not counted under {workload}"
    if evidence.words.verdict in (WordVerdict.CANNOT_TELL, WordVerdict.NOT_MEASURED):
        minutes = evidence.words.minutes_more_audio
        more_audio = f"; about {minutes:.0f} more minutes of audio would tell" if minutes else ""
        yield f"word errors: {evidence.words.verdict.replace('_', ' ')}{more_audio}"
