"""This module judges pairs of launches by the rule: confirmed, rejected or inconclusive; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from objectives.figures import CAPACITY
from study.rule.claims import ClaimFinding, claim_finding
from study.rule.hard_facts import HardFacts, hard_causes, open_facts
from study.rule.limits import LimitFinding, LimitStanding, limit_findings
from study.rule.pairs import Arms, Key, first_pairs
from study.rule.rule import LOOKS, Rule, confidence
from study.rule.verdict import Cause, RuleVerdict, VerdictReason, VerdictStatus
from study.rule.watched import WorseFigure, lost_figures, worse_figures


def judge(figures: Mapping[Key, Arms], facts: HardFacts, rule: Rule) -> RuleVerdict:
    """Return the verdict after the pairs so far.

    It is looked at after 6 and after 12 pairs; what the first look decides, later pairs do not
    change. Hard facts reject at any time.

    Args:
        figures: By workload and flat name, the figure of both arms in every pair.
        facts: What needs no interval.
        rule: What was fixed before the first pair.
    """
    pairs = max((len(arms.baseline) for arms in figures.values()), default=0)
    open_causes = tuple(open_facts(facts, rule))
    too_few = Cause(VerdictReason.TOO_FEW_PAIRS, value=pairs)
    verdict = RuleVerdict(status=VerdictStatus.INCONCLUSIVE, causes=(*open_causes, too_few))
    if against := tuple(hard_causes(facts, rule)):
        return RuleVerdict(status=VerdictStatus.REJECTED, causes=against)
    for look, count in enumerate(LOOKS, 1):
        if count > pairs:
            break
        verdict = _at(look, count, first_pairs(figures, count), open_causes, rule)
        if verdict.status is not VerdictStatus.INCONCLUSIVE:
            return verdict
    more = next((count - pairs for count in LOOKS if count > pairs), None)
    return replace(verdict, pairs_more=more)


def _at(
    look: int,
    pairs: int,
    figures: Mapping[Key, Arms],
    open_causes: tuple[Cause, ...],
    rule: Rule,
) -> RuleVerdict:
    """Return the verdict of one look; None of its intervals is used at another."""
    level, parts = confidence(look), rule.claims
    shared = confidence(look, among=len(parts))
    claims = tuple(claim_finding(part, figures, rule, shared) for part in parts)
    limits = limit_findings(figures, rule, level)
    worse = worse_figures(figures, limits, rule, level)
    status, causes = VerdictStatus.REJECTED, tuple(_against(claims, limits, worse, figures))
    if not causes:
        lost = (
            _of_figure(VerdictReason.FIGURE_LOST, key, figures)
            for key in lost_figures(figures, rule)
        )
        harms = (
            _of_figure(VerdictReason.WATCHED_WORSE, (w.workload, w.figure), figures)
            for w in worse
            if w.is_harm
        )
        open_now = (*open_causes, *_not_won(claims), *_not_met(limits), *harms, *lost)
        causes = tuple(dict.fromkeys(open_now))  # a claim and a figure may lack the same
        status = VerdictStatus.INCONCLUSIVE if causes else VerdictStatus.CONFIRMED
    return RuleVerdict(
        status=status,
        causes=causes,
        claims=claims,
        limits=limits,
        worse=worse,
        pairs=pairs,
        look=look,
    )


def _against(
    claims: tuple[ClaimFinding, ...],
    limits: tuple[LimitFinding, ...],
    worse: tuple[WorseFigure, ...],
    figures: Mapping[Key, Arms],
) -> Iterator[Cause]:
    if claims and all(c.is_lost for c in claims):
        yield from (Cause(VerdictReason.CLAIM_WORSE, name=c.claim) for c in claims)
    for limit in limits:
        if limit.standing is LimitStanding.BROKEN:
            yield Cause(VerdictReason.LIMIT_BROKEN, limit.workload, limit.figure)
    for figure in worse:
        if figure.rejects:
            yield _of_figure(VerdictReason.WATCHED_WORSE, (figure.workload, figure.figure), figures)


def _of_figure(reason: VerdictReason, key: Key, figures: Mapping[Key, Arms]) -> Cause:
    """Return the cause; a capacity for which no rate is good has a reason of its own."""
    workload, name = key
    if name == CAPACITY and (count := figures[key].winner.count(0)):
        return Cause(VerdictReason.NO_GOOD_RATE, workload, "winner", count)
    return Cause(reason, workload, name)


def _not_won(claims: tuple[ClaimFinding, ...]) -> Iterator[Cause]:
    """Yield what each claim lacks; nothing where one of them is won, which is enough."""
    if any(c.is_won for c in claims):
        return
    for c in claims:
        lacking = {w: n for w, n in c.missing.items() if n}
        for workload, count in lacking.items():
            yield Cause(VerdictReason.CLAIM_NOT_MEASURED, workload, c.claim, count)
        for (workload, role), count in c.no_good_rate.items():
            yield Cause(VerdictReason.NO_GOOD_RATE, workload, role, count)
        for workload in c.worse_under:
            yield Cause(VerdictReason.HELD_OUT_WORSE, workload, c.claim)
        if c.main is not None and c.main.low <= 0:
            yield Cause(VerdictReason.CLAIM_NOT_SHOWN, name=c.claim)
        elif c.held_out is not None and c.held_out.low <= 0:
            yield Cause(VerdictReason.HELD_OUT_NOT_SHOWN, name=c.claim)


def _not_met(limits: tuple[LimitFinding, ...]) -> Iterator[Cause]:
    for limit in limits:
        if not limit.is_met:
            is_measured = limit.standing is not LimitStanding.NOT_MEASURED
            reason = (
                VerdictReason.LIMIT_NOT_SHOWN if is_measured else VerdictReason.LIMIT_NOT_MEASURED
            )
            yield Cause(reason, limit.workload, limit.figure)
