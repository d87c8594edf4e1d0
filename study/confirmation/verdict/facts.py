"""This module finds the facts of a confirmation that need no interval; pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from objectives.speech.wer import Gate, WordVerdict, worst_gate
from study.confirmation.records import Pair, PairsJournal
from study.confirmation.subject import Subject
from study.rule.hard_facts import HardFacts, LaunchFailure, Today
from study.rule.pairs import ROLES, Role

STRESS, RESTART = "stress", "the restart of speech beside the LLM server"


def hard_facts(journal: PairsJournal, of: Subject, *, has_drift: bool) -> HardFacts:
    """Return what the launches so far, the stress included, show without an interval."""
    pairs, words, is_alone = journal.of("ab"), words_of(journal, of), of.rule.is_alone
    roles: tuple[Role, ...] = ROLES if is_alone else ("winner",)
    more = failed_share if is_alone else failed_more
    return HardFacts(
        failures=tuple(_failures(journal)),
        oom_events=sum(
            m.oom_events for p in pairs for role in roles for m in p.of(role).measured.values()
        ),
        failed_more={w: more(pairs, w) for w in of.rule.workloads} if pairs else {},
        words=words.verdict,
        minutes_more_audio=words.minutes_more_audio,
        free_mib=_free_mib(journal),
        has_drift=has_drift,
        today=_today(journal, of),
    )


def _today(journal: PairsJournal, of: Subject) -> Today:
    if of.today is None:
        return ""
    if journal.today is None:
        return "not_launched"
    return "works" if journal.today.failure is None else "fails"


def today_in_words(journal: PairsJournal, of: Subject) -> str | None:
    """Say what a fresh launch of what is in use did; None where there was none."""
    if journal.today is None or of.today is None:
        return None
    d = journal.today.failure
    if d is None:
        return f"what is in use today, {of.today}, works after all"
    return f"what is in use today, {of.today}, failed again: {d.failure_class}: {d.evidence}"


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


def failed_share(pairs: Sequence[Pair], workload: str) -> float | None:
    """Return the share of requests that failed in the winner's launches, which are all of them.

    None where it was not counted in some launch.
    """
    rates = [p.of(role).measured[workload].failure_rate for p in pairs for role in ROLES]
    known = [r for r in rates if r is not None and 0 <= r <= 1]
    return fmean(known) if known and len(known) == len(rates) else None


def words_of(journal: PairsJournal, of: Subject) -> Gate:
    """Compare the winner's word errors with the baseline's, over the clips, by the newest pair.

    Alone it is held against itself: the study has judged its words.
    """
    if of.rule.is_alone:
        return Gate(WordVerdict.PASS)
    pairs = journal.of("ab")
    new, old = (
        pairs[-1].of(role).measured[of.rule.main].words if pairs else {}
        for role in ("winner", "baseline")
    )
    return worst_gate(
        new,
        old,
        same={n for n in new if of.winner.words_key(n) == of.baseline.words_key(n)},
        limit_points=of.spec.gates.wer_points,
        clip_seconds=[c.seconds for c in of.words],
    )
