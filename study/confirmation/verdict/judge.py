"""This module judges pairs: confirmed, rejected, or inconclusive; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from study.confirmation.protocol import LEAST_PAIRS, ClaimRule, MetricKey, confidence, looks
from study.confirmation.verdict.evidence import Evidence
from study.confirmation.verdict.metric_comparison import FIRST_STOP, Finding, findings_of
from study.confirmation.verdict.paired_statistics import chance
from study.confirmation.verdict.reasons import reasons_against, still_open
from study.promotion.status import Status

FUTILE = 0.02  # chance of a win below which no further pair is measured


@dataclass(frozen=True, slots=True)
class PairsVerdict:
    """The verdict on the pairs is an answer and what it stands on.

    Args:
        status: Whether the winner is confirmed, rejected, or neither.
        reasons: What speaks against it or is open, a sentence each.
        findings: What is known of each metric.
        pairs: How many pairs were counted for it.
        look: The number of this look for a win, from 1.
        is_over: Whether no further pair would change it, unless more pairs are asked for.
        pairs_more: How many more pairs would tell; None where no number would, by these figures.
    """

    status: Status
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    pairs: int
    look: int
    is_over: bool
    pairs_more: int | None = None

    def finding(self, key: MetricKey) -> Finding | None:
        """Return what is known of one metric; None where it is not judged."""
        return _of(self.findings, key)


def judge_pairs(evidence: Evidence, rule: ClaimRule, targets: Sequence[int]) -> PairsVerdict:
    """Return the verdict after the pairs so far.

    The first pairs that decide do, and later ones do not change it. `targets` are the numbers of
    pairs that were asked for, in order: each may be one more look for a win.
    """
    planned = looks(targets)
    target = max(targets, default=LEAST_PAIRS)
    for pairs in range(1, evidence.pairs + 1):
        verdict = _after(pairs, evidence, rule, planned, target)
        if verdict.is_over:
            return verdict
    return verdict if evidence.pairs else _after(0, evidence, rule, planned, target)


def _after(
    pairs: int, evidence: Evidence, rule: ClaimRule, planned: Sequence[int], target: int
) -> PairsVerdict:
    past = sum(at < pairs for at in planned)
    look = min(past + 1, len(planned))
    findings = findings_of(evidence.first(pairs), rule, look)
    primary = _of(findings, rule.primary)
    if obstacles := tuple(reasons_against(findings, primary, evidence, rule, pairs)):
        return PairsVerdict(Status.REJECTED, obstacles, findings, pairs, look, is_over=True)
    doubts = tuple(still_open(findings, primary, evidence, rule, pairs))
    if pairs in planned and not doubts:
        return PairsVerdict(Status.CONFIRMED, (), findings, pairs, look, is_over=True)
    is_early = FIRST_STOP <= pairs < target
    is_futile = is_early and primary is not None and _is_futile(primary, planned, pairs)
    if is_futile:
        futile = f"{rule.claim}: by these pairs, {target} would not show it better either"
        doubts = (futile, *doubts)
    is_over, pairs_more = is_futile or pairs >= target, _pairs_more(findings, pairs)
    return PairsVerdict(Status.INCONCLUSIVE, doubts, findings, pairs, look, is_over, pairs_more)


def _of(findings: Sequence[Finding], key: MetricKey) -> Finding | None:
    return next((f for f in findings if f.key == key), None)


def _is_futile(primary: Finding, planned: Sequence[int], pairs: int) -> bool:
    """Tell whether no look that is planned has a chance worth measuring for."""
    if primary.estimate is None or primary.missing:
        return False
    looks_ahead = [(at, confidence(i)) for i, at in enumerate(planned, 1) if at > pairs]
    return all(chance(primary.estimate, at, level) < FUTILE for at, level in looks_ahead)


def _pairs_more(findings: Sequence[Finding], pairs: int) -> int | None:
    """Count the pairs until the last of what is open could be told, and at least six are there.

    None where no number of pairs would tell.
    """
    unsettled = [f for f in findings if f.standing in ("cannot_tell", "worse")]
    if any(f.pairs_needed is None for f in unsettled) and pairs >= 2:
        return None
    return max(LEAST_PAIRS - pairs, 1, *((f.pairs_needed or 0) - pairs for f in unsettled))
