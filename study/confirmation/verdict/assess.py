"""This module assesses a journal: what its pairs, stress and failures say by the rule; pure."""

from __future__ import annotations

from study.confirmation.records import Pair, PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict.arms import arms_of
from study.confirmation.verdict.facts import hard_facts
from study.confirmation.verdict.held import held_rates, next_hold
from study.rule.claims import claim_gains
from study.rule.held import after_holds, needs_holds
from study.rule.intervals import interval
from study.rule.judge import judge
from study.rule.pairs import Role, known
from study.rule.rule import Claim, confidence
from study.rule.verdict import RuleVerdict, VerdictStatus


def verdict_of(journal: PairsJournal, of: Subject) -> RuleVerdict:
    """Return what follows from the pairs so far, and from the holds where those are live."""
    verdict = verdict_of_pairs(journal, of)
    if of.spec.measure != "live" or not needs_holds(verdict):
        return verdict
    held = held_rates(journal, counted_pairs(journal, verdict), of.rule)
    return after_holds(verdict, held)


def hold_to_come(journal: PairsJournal, of: Subject) -> tuple[Role, float] | None:
    """Return whose servers hold which rate next, turns/s; None where none has to."""
    verdict = verdict_of_pairs(journal, of)
    if of.spec.measure != "live" or not needs_holds(verdict):
        return None
    return next_hold(journal, counted_pairs(journal, verdict), of.rule)


def verdict_of_pairs(journal: PairsJournal, of: Subject) -> RuleVerdict:
    """Return what follows from the pairs so far, whatever holds say."""
    facts = hard_facts(journal, of, has_drift=has_drift(journal, of))
    return judge(arms_of(journal.of("ab"), of.rule), facts, of.rule)


def counted_pairs(journal: PairsJournal, verdict: RuleVerdict) -> tuple[Pair, ...]:
    """Return the pairs that a verdict stands on: those of the look that decided, or all so far."""
    is_decided = verdict.look > 0 and verdict.status is not VerdictStatus.INCONCLUSIVE
    pairs = journal.of("ab")
    return pairs[: verdict.pairs] if is_decided else pairs


def gains_of_aa(journal: PairsJournal, of: Subject) -> dict[Claim, tuple[float | None, ...]]:
    """Return the gains of the baseline against itself, a log-ratio a pair, for each claim."""
    rule = of.rule
    figures = arms_of(journal.of("aa"), rule)
    return {c: claim_gains(c, figures, rule.main, rule.weights) for c in rule.claims}


def has_drift(journal: PairsJournal, of: Subject) -> bool:
    """Tell whether the baseline wins or loses against itself, by the interval that a win needs."""
    by_claim = gains_of_aa(journal, of)
    level = confidence(1, among=len(by_claim))
    complete = [known(gains) for gains in by_claim.values() if len(known(gains)) == len(gains)]
    intervals = [interval(gains, level) for gains in complete]
    return any(i is not None and not i.low <= 0 <= i.high for i in intervals)
