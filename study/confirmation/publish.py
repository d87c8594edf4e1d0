"""This module writes a confirmation into its promotion: status, figures, and how it was done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from objectives.figures import CAPACITY
from objectives.measurement import INFINITE
from study.confirmation import wording
from study.confirmation.pairs.next_step import next_step
from study.confirmation.protocol import MetricKey, confidence, gain_pct, looks
from study.confirmation.records import PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict import gains
from study.confirmation.verdict.assess import evidence, noise_by_metric, verdict_of, words
from study.confirmation.verdict.judge import PairsVerdict
from study.confirmation.verdict.metric_comparison import Finding
from study.promotion import seal
from study.promotion.status import Status


def publish(of: Subject, journal: PairsJournal, file: str) -> PairsVerdict:
    """Write the promotion anew, sealed, with what its pairs say; return the verdict.

    A replay keeps its status, since it never applies; what is not finished is still a candidate.
    `file` names the journal, for whoever wants every launch.
    """
    result = verdict_of(journal, of)
    is_live = of.spec.measure == "live"
    is_finished = next_step(journal, of) is None
    status = result.status if is_finished else Status.CANDIDATE
    data = {
        **{k: v for k, v in of.data.items() if k not in ("confirmation", seal.DIGEST_KEY)},
        "status": status.value if is_live else Status.REPLAY.value,
        "confirmation": block(of, journal, result, file),
    }
    if is_live and not is_finished:
        data["note"] = (
            f"its confirmation is not finished: {result.pairs} of {max(journal.targets)} pairs"
        )
    elif is_live:
        why = "; ".join(result.reasons) or wording.claim(result, of.rule, None)
        data["note"] = f"{wording.status_in_words(result)}: {why}"
    seal.put(data, of.path)
    return result


def block(of: Subject, journal: PairsJournal, result: PairsVerdict, file: str) -> dict[str, Any]:
    """Return everything under `confirmation:`, as plain data."""
    rule, pairs, ends = of.rule, journal.of("ab"), [p.at for p in journal.pairs]
    resolution = gains.resolution_pct(pairs, rule.main) if rule.claim == CAPACITY else None
    planned, failed_more = looks(journal.targets), evidence(journal, of).failed_more
    return {
        "verdict": result.status.value,
        "says": wording.claim(result, rule, resolution),
        "also": wording.further(result, rule),
        "reasons": list(result.reasons),
        "pairs": result.pairs,
        "pairs_more": result.pairs_more if result.status is Status.INCONCLUSIVE else None,
        "claim": rule.claim,
        "margin_pct": rule.margins.pct,
        "margins_pct": dict(rule.margins.by_metric),
        "confidence": confidence(result.look),
        "wins_looked_for_after_pairs": [n for n in planned if n <= result.pairs],
        "pairs_asked": list(journal.targets),
        "begun_anew": journal.earlier,
        "order": "ABBA" if of.spec.measure == "live" else "as recorded, not interleaved",
        "capacity_resolution_pct": _round(resolution),
        "workloads": [t.name for t in of.traffics],
        "figures": _figures(of, journal, result),
        "word_errors": _words(of, journal),
        "failed_more_points": {k: _round(_pct(v)) for k, v in failed_more.items()},
        "aa": _aa(of, journal),
        "stress": _stress(journal),
        "restart_order": _restart(journal),
        "left_out": list(journal.left_out),
        "cards": list(dict.fromkeys(p.card for p in journal.pairs)),
        "drivers": list(dict.fromkeys(p.driver for p in journal.pairs)),
        "first_pair_at": min(ends, default=None),
        "last_pair_at": max(ends, default=None),
        "spec_sha256": of.spec.text_sha256,
        "launches": file,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _figures(of: Subject, journal: PairsJournal, result: PairsVerdict) -> dict[str, dict[str, Any]]:
    """Return the figures by workload and metric.

    Gains are in percent of the baseline, positive is better.
    """
    by, pairs = gains.scale(of.spec, journal.pairs), journal.of("ab")[: result.pairs]
    spread = noise_by_metric(journal, of)
    figures: dict[str, dict[str, Any]] = {}
    for f in result.findings:
        baseline, winner = gains.middle(by, f.key, pairs)
        figures.setdefault(f.key.workload, {})[f.key.metric] = {
            "standing": f.standing,
            **_estimate(f),
            "launch_noise_pct": _round(_pct(spread.get(f.key))),
            "baseline": _round(baseline),
            "winner": _round(winner),
        }
    return figures


def _estimate(f: Finding) -> dict[str, Any]:
    if f.estimate is None:
        return {"pairs": 0}
    e = f.estimate
    return {
        "pairs": e.n,
        "gain_pct": _round(gain_pct(f.key.metric, e.mean)),
        "low_pct": _round(None if e.low is None else gain_pct(f.key.metric, e.low)),
        "high_pct": _round(None if e.high is None else gain_pct(f.key.metric, e.high)),
        "mean_log_ratio": _round(e.mean, 5),
        "p": _round(e.p, 5),
        "sign_flip_p": _round(e.sign_flip_p, 5),
        "corrected_p": _round(f.claim_p, 5),
        "pairs_needed": f.pairs_needed,
    }


def _words(of: Subject, journal: PairsJournal) -> Mapping[str, Any]:
    g = words(journal, of)
    return {
        "verdict": g.verdict.value,
        "difference_points": _round(g.difference_points),
        "low_points": _round(g.lower_points),
        "high_points": _round(g.upper_points),
        "limit_points": of.spec.gates.wer_points,
    }


def _aa(of: Subject, journal: PairsJournal) -> dict[str, Any]:
    """Return the gains of the baseline against itself, primary metric."""
    key: MetricKey = of.rule.primary
    values = gains.gains(gains.scale(of.spec, journal.pairs), journal.of("aa"), [key.workload])[key]
    return {"pairs": len(journal.of("aa")), "log_ratios": [_round(g, 5) for g in values]}


def _stress(journal: PairsJournal) -> dict[str, Any] | None:
    s = journal.stress
    if s is None:
        return None
    return {
        "llm_requests_at_once": s.requests,
        "prompt_tokens": s.prompt_tokens,
        "clips_at_once": s.clips,
        "least_free_memory_mib": _round(s.free_memory_mib),
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
        "least_free_memory_mib": _round(s.after_restart_mib),
        "failure": f"{s.failure.failure_class}: {s.failure.evidence}" if s.failure else None,
    }


def _pct(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _round(value: float | None, digits: int = 2) -> float | None:
    """Round a figure for a file; what is not finite was not measured."""
    return None if value is None or abs(value) == INFINITE else round(value, digits) + 0.0
