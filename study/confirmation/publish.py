"""This module writes a confirmation into its promotion: status, figures, and how it was done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from objectives.plain_data.card_sets import cards_of
from study.confirmation.pairs.next_step import next_step
from study.confirmation.records import PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict import wording
from study.confirmation.verdict.assess import counted_pairs, gains_of_aa, hold_to_come, verdict_of
from study.confirmation.verdict.facts import (
    failed_more,
    failed_share,
    today_in_words,
    words_of,
)
from study.confirmation.verdict.findings_data import (
    causes,
    claims,
    figures,
    limits,
    not_measured,
    rounded,
    worse,
)
from study.confirmation.verdict.held import holds_data
from study.promotion import seal
from study.promotion.status import Status
from study.rule import verdict as rule_verdict
from study.rule.rule import LOOKS
from study.rule.verdict import RuleVerdict


def pairs_to_come(of: Subject, result: RuleVerdict, pairs: int, most: int) -> int | None:
    """Return how many more pairs may change an open verdict; None where none can be had.

    Args:
        of: What is confirmed.
        result: Its verdict.
        pairs: How many pairs there are.
        most: How many were asked for.
    """
    is_open = result.status is rule_verdict.VerdictStatus.INCONCLUSIVE
    if any(cause.reason is rule_verdict.VerdictReason.TODAY_WORKS for cause in result.causes):
        return None
    is_exhausted = of.spec.measure != "live" and pairs < most
    return result.pairs_more if is_open and not is_exhausted else None


def publish(of: Subject, journal: PairsJournal, file: str, most: int) -> RuleVerdict:
    """Write the promotion anew, sealed, with what its pairs say; return the verdict.

    A replay keeps its status, since it never applies; what is not finished is still a candidate.

    Args:
        of: What is confirmed.
        journal: What was measured.
        file: The name of the journal, for whoever wants every launch.
        most: How many pairs were to be measured at most.
    """
    result = verdict_of(journal, of)
    is_live, pairs = of.spec.measure == "live", counted_pairs(journal, result)
    counted = len(pairs)
    is_finished = next_step(journal, of, most) is None
    status = Status(result.status.value) if is_finished else Status.CANDIDATE
    data = {
        **{k: v for k, v in of.data.items() if k not in ("confirmation", seal.DIGEST_KEY)},
        "status": status.value if is_live else Status.REPLAY.value,
        "confirmation": block(of, journal, result, file, most),
    }
    if is_live and not is_finished:
        left = f"{counted} of {most} pairs at most"
        left = "the holds" if hold_to_come(journal, of) is not None else left
        data["note"] = f"its confirmation is not finished: {left}"
    elif is_live:
        why = "; ".join(wording.reasons(result, of.rule))
        why = why or wording.claims_in_words(result, of.rule, counted)
        cards = {p.card for p in pairs}
        words = wording.status_in_words(result.status, counted, result.pairs_more, cards=cards)
        data["note"] = f"{words}: {why}"
    seal.put(data, of.path)
    return result


def block(
    of: Subject, journal: PairsJournal, result: RuleVerdict, file: str, most: int = LOOKS[-1]
) -> dict[str, Any]:
    """Return everything under `confirmation:`, as plain data; the arguments are `publish`'s."""
    rule, ends = of.rule, [p.at for p in journal.pairs]
    pairs = counted_pairs(journal, result)
    share = failed_share if rule.is_alone else failed_more
    more = {w: share(pairs, w) for w in rule.workloads} if pairs else {}
    return {
        "verdict": result.status.value,
        "says": wording.claims_in_words(result, rule, len(pairs)),
        "reasons": wording.reasons(result, rule),
        "gets_worse": [wording.worse_in_words(w) for w in result.worse],
        "pairs": len(pairs),
        "pairs_more": pairs_to_come(of, result, len(pairs), most),
        "rule": {
            "claim": "works" if rule.is_alone else rule.claim.value,
            "limits": dict(rule.limits),
            "looks_after_pairs": list(LOOKS),
            "look": result.look,
        },
        "causes": causes(result),
        "claims": claims(result, rule),
        "limits": limits(result),
        "worse": worse(result),
        "begun_anew": journal.earlier,
        "order": "ABBA" if of.spec.measure == "live" else "as recorded, not interleaved",
        "workloads": list(rule.workloads),
        "figures": figures(journal, result, rule, pairs),
        "not_measured": not_measured(rule, pairs),
        "word_errors": _words(of, journal),
        "failed_more_points": {k: rounded(_pct(v)) for k, v in more.items()},
        "aa": _aa(of, journal),
        "holds": holds_data(journal),
        "today": today_in_words(journal, of),
        "stress": _stress(journal),
        "restart_order": _restart(journal),
        "left_out": list(journal.left_out),
        "cards": list(dict.fromkeys(_llm_card(p.card) for p in journal.pairs)),
        "drivers": list(dict.fromkeys(p.driver for p in journal.pairs)),
        "measuring_code": list(dict.fromkeys(p.code for p in journal.pairs)),
        "first_pair_at": min(ends, default=None),
        "last_pair_at": max(ends, default=None),
        "spec_sha256": of.spec.text_sha256,
        "launches": file,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _llm_card(name: str) -> str:
    """Return the card of the LLM among those of a pair; empty where none was kept."""
    return next(iter(cards_of(name)), "")


def _words(of: Subject, journal: PairsJournal) -> Mapping[str, Any]:
    g = words_of(journal, of)
    return {
        "verdict": g.verdict.value,
        "difference_points": rounded(g.difference_points),
        "low_points": rounded(g.lower_points),
        "high_points": rounded(g.upper_points),
        "limit_points": of.spec.gates.wer_points,
    }


def _aa(of: Subject, journal: PairsJournal) -> dict[str, Any]:
    """Return the gains of the baseline against itself, for each claim."""
    by_claim = {
        claim.value: [rounded(g, 5) for g in gains]
        for claim, gains in gains_of_aa(journal, of).items()
    }
    return {"pairs": len(journal.of("aa")), "log_ratios": by_claim}


def _stress(journal: PairsJournal) -> dict[str, Any] | None:
    s = journal.stress
    if s is None:
        return None
    return {
        "llm_requests_at_once": s.requests,
        "prompt_tokens": s.prompt_tokens,
        "clips_at_once": s.clips,
        "least_free_memory_mib": rounded(s.free_memory_mib),
        "failure": None
        if s.failure is None or s.in_restart
        else f"{s.failure.failure_class}: {s.failure.evidence}",
    }


def _restart(journal: PairsJournal) -> dict[str, Any] | None:
    s = journal.stress
    if s is None or (s.failure is not None and not s.in_restart):
        return None
    return {
        "speech_restarted_beside_the_llm_server": "failed" if s.failure else "works",
        "least_free_memory_mib": rounded(s.after_restart_mib),
        "failure": f"{s.failure.failure_class}: {s.failure.evidence}" if s.failure else None,
    }


def _pct(share: float | None) -> float | None:
    return None if share is None else 100 * share
