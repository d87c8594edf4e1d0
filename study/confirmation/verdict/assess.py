"""This module assesses a journal: what its pairs, stress and failures say together; pure."""

from __future__ import annotations

from objectives.speech.wer import Gate, gate
from study.confirmation.protocol import MetricKey
from study.confirmation.records import PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict import gains
from study.confirmation.verdict.evidence import Evidence
from study.confirmation.verdict.judge import PairsVerdict, judge_pairs
from study.confirmation.verdict.metric_comparison import LOST
from study.confirmation.verdict.paired_statistics import Estimate, estimate


def verdict_of(journal: PairsJournal, of: Subject) -> PairsVerdict:
    """Return what follows from the pairs so far."""
    return judge_pairs(evidence(journal, of), of.rule, journal.targets)


def evidence(journal: PairsJournal, of: Subject) -> Evidence:
    """Return what has been measured, as the rule needs it."""
    pairs, names = journal.of("ab"), [t.name for t in of.traffics]
    obstacles, doubts = _stressed(journal, of)
    if journal.failure is not None:
        d, role = journal.failure.diagnosis, journal.failure.role
        where = f"the {role} failed under {journal.failure.workload}"
        reasons = obstacles if role == "winner" else doubts
        reasons.append(f"{where}: {d.failure_class}: {d.evidence}")
    if has_alarm(journal, of):
        doubts.append(
            "the baseline against itself seems better or worse: drift, or an effect of the order"
        )
    return Evidence(
        gains=gains.gains(gains.scale(of.spec, journal.pairs), pairs, names),
        words=words(journal, of),
        failed_more=gains.failed_more(pairs, names),
        obstacles=obstacles,
        doubts=doubts,
    )


def _stressed(journal: PairsJournal, of: Subject) -> tuple[list[str], list[str]]:
    """Return what the stress says against the winner, and what it leaves open, a sentence each."""
    if of.spec.measure != "live":
        return [], []
    s, limit = journal.stress, of.spec.gates.free_memory_mib
    if s is None:
        return [], ["the stress of the winner and its restart order have not run"]
    if s.failure is not None:
        when = "when speech was restarted beside the LLM server" if s.in_restart else "under stress"
        return [f"the winner failed {when}: {s.failure.failure_class}: {s.failure.evidence}"], []
    least = [m for m in (s.free_memory_mib, s.after_restart_mib) if m is not None]
    if least and min(least) < limit:
        left = f"under stress only {min(least):,.0f} MiB stayed free"
        return [f"{left}, the gate asks for {limit:g}"], []
    return [], [] if least else ["the free memory under stress was not measured"]


def words(journal: PairsJournal, of: Subject) -> Gate:
    """Compare the winner's word errors with the baseline's, over the clips, by the newest pair."""
    is_same = of.winner.speech_key == of.baseline.speech_key
    pairs = journal.of("ab")
    new, old = (
        pairs[-1].of(role).measured["main"].word_errors if pairs else ()
        for role in ("winner", "baseline")
    )
    return gate(
        new,
        old,
        limit_points=of.spec.gates.wer_points,
        clip_seconds=[c.seconds for c in of.clips],
        same_configuration=is_same and bool(new),
    )


def _aa_estimate(journal: PairsJournal, of: Subject) -> Estimate | None:
    """Estimate the baseline's gain against itself, primary metric; None where a pair has none."""
    pairs, key = journal.of("aa"), of.rule.primary
    values = gains.gains(gains.scale(of.spec, journal.pairs), pairs, [key.workload])[key]
    ratios = [g for g in values if g is not None and g != LOST]
    return estimate(ratios) if ratios and len(ratios) == len(values) else None


def has_alarm(journal: PairsJournal, of: Subject) -> bool:
    """Tell whether the baseline wins or loses against itself, by the interval that a win needs."""
    aa = _aa_estimate(journal, of)
    return (
        aa is not None and aa.low is not None and aa.high is not None and not aa.low <= 0 <= aa.high
    )


def noise_by_metric(journal: PairsJournal, of: Subject) -> dict[MetricKey, float | None]:
    """Return the noise of one launch by metric, as a log-ratio, from the A/A pairs."""
    workloads = [t.name for t in of.traffics]
    by_metric = gains.gains(gains.scale(of.spec, journal.pairs), journal.of("aa"), workloads)
    return {key: gains.launch_noise(values) for key, values in by_metric.items()}
