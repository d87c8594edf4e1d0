"""This module finds the facts of a confirmation that need no interval; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from objectives.speech.wer import Gate, gate
from study.confirmation.records import Pair, PairsJournal
from study.confirmation.subject import Subject
from study.rule.hard_facts import HardFacts, LaunchFailure

STRESS, RESTART = "stress", "the restart of speech beside the LLM server"


def hard_facts(journal: PairsJournal, of: Subject, *, has_drift: bool) -> HardFacts:
    """Return what the launches so far, the stress included, show without an interval."""
    pairs, words = journal.of("ab"), words_of(journal, of)
    return HardFacts(
        failures=tuple(_failures(journal)),
        oom_events=sum(m.oom_events for p in pairs for m in p.of("winner").measured.values()),
        failed_more={w: failed_more(pairs, w) for w in of.rule.workloads} if pairs else {},
        words=words.verdict.value,
        minutes_more_audio=words.minutes_more_audio,
        free_mib=_free_mib(journal),
        has_drift=has_drift,
    )


def _failures(journal: PairsJournal) -> Iterator[LaunchFailure]:
    if (f := journal.failure) is not None:
        yield LaunchFailure(f.role, f.workload, f.diagnosis.failure_class, f.diagnosis.evidence)
    if (s := journal.stress) is not None and s.failure is not None:
        under = RESTART if s.in_restart else STRESS
        yield LaunchFailure("winner", under, s.failure.failure_class, s.failure.evidence)


def _free_mib(journal: PairsJournal) -> float | None:
    s = journal.stress
    halves = (s.free_memory_mib, s.after_restart_mib) if s is not None else ()
    return min((mib for mib in halves if mib is not None), default=None)


def failed_more(pairs: Sequence[Pair], workload: str) -> float | None:
    """Return by how much the winner's share of failed requests is above the baseline's.

    It is the mean of the pairs; None where it was not counted in some launch.
    """
    gaps = []
    for p in pairs:
        winner, baseline = (
            p.of(role).measured[workload].failure_rate for role in ("winner", "baseline")
        )
        if winner is None or baseline is None or not (0 <= winner <= 1 and 0 <= baseline <= 1):
            return None
        gaps.append(winner - baseline)
    return fmean(gaps)


def words_of(journal: PairsJournal, of: Subject) -> Gate:
    """Compare the winner's word errors with the baseline's, over the clips, by the newest pair."""
    is_same = of.winner.speech_key == of.baseline.speech_key
    pairs = journal.of("ab")
    new, old = (
        pairs[-1].of(role).measured[of.rule.main].word_errors if pairs else ()
        for role in ("winner", "baseline")
    )
    return gate(
        new,
        old,
        limit_points=of.spec.gates.wer_points,
        clip_seconds=[c.seconds for c in of.words],
        same_configuration=is_same and bool(new),
    )
