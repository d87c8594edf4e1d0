"""From a journal to a verdict: what its pairs, its stress and its failures say together. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from objectives.servers.memory_budget import speech_key
from objectives.speech.wer import Gate, gate
from study.confirmation import gains
from study.confirmation.journal import Journal
from study.confirmation.paired_statistics import Estimate, estimate
from study.confirmation.protocol import Key
from study.confirmation.subject import Subject
from study.confirmation.verdict import LOST, Evidence, Verdict, judge

Step = Literal["aa", "stress", "ab"]


def evidence(journal: Journal, of: Subject) -> Evidence:
    """What has been measured, as the rule needs it."""
    pairs, names = journal.of("ab"), [t.name for t in of.traffics]
    obstacles, doubts = _stressed(journal, of)
    if journal.failure is not None:
        d = journal.failure.diagnosis
        what = f"the {journal.failure.role} failed under {journal.failure.workload}: {d.failure_class}: {d.evidence}"
        (obstacles if journal.failure.role == "winner" else doubts).append(what)
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


def _stressed(journal: Journal, of: Subject) -> tuple[list[str], list[str]]:
    """What the stress and the restart order say against the winner, and what they leave open."""
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
        return [
            f"under stress only {min(least):,.0f} MiB stayed free, the gate asks for {limit:g}"
        ], []
    return [], [] if least else ["the free memory under stress was not measured"]


def words(journal: Journal, of: Subject) -> Gate:
    """The winner's word errors against the baseline's, over the clips, from the newest pair."""
    same = speech_key(of.winner) == speech_key(of.baseline)
    pairs = journal.of("ab")
    new, old = (
        pairs[-1].of(r).measured["main"].word_errors if pairs else ()
        for r in ("winner", "baseline")
    )
    return gate(
        new, old,
        limit_points=of.spec.gates.wer_points,
        clip_seconds=[c.seconds for c in of.clips],
        same_configuration=same and bool(new),
    )  # fmt: skip


def aa_estimate(journal: Journal, of: Subject) -> Estimate | None:
    """The primary metric of the baseline against itself; None where some pair has none."""
    pairs, key = journal.of("aa"), of.rule.primary
    values = gains.gains(gains.scale(of.spec, journal.pairs), pairs, [key.workload])[key]
    known = [g for g in values if g is not None and g != LOST]
    return estimate(known) if known and len(known) == len(values) else None


def has_alarm(journal: Journal, of: Subject) -> bool:
    """Whether the baseline wins or loses against itself, by the interval that a win needs."""
    found = aa_estimate(journal, of)
    return (
        found is not None
        and found.low is not None
        and found.high is not None
        and not found.low <= 0 <= found.high
    )


def noise(journal: Journal, of: Subject) -> dict[Key, float | None]:
    """What A/A says of the noise of one launch, by metric, as a log-ratio."""
    found = gains.gains(
        gains.scale(of.spec, journal.pairs), journal.of("aa"), [t.name for t in of.traffics]
    )
    return {key: gains.noise(values) for key, values in found.items()}


@dataclass(frozen=True, slots=True)
class Next:
    """What is measured next."""

    step: Step
    number: int


def next_step(journal: Journal, of: Subject) -> Next | None:
    """A/A, then the stress, then pairs until the verdict is over; None where nothing is left to do."""
    aa = len(journal.of("aa"))
    if journal.failure is not None:
        return None
    if aa < of.rule.aa_pairs:
        return Next("aa", aa + 1)
    if has_alarm(journal, of):  # once more as many: one alarm in twenty is chance
        return Next("aa", aa + 1) if aa < 2 * of.rule.aa_pairs else None
    if journal.stress is None:
        return Next("stress", 1)
    return None if verdict(journal, of).is_over else Next("ab", len(journal.of("ab")) + 1)


def verdict(journal: Journal, of: Subject) -> Verdict:
    """What follows from the pairs so far."""
    return judge(evidence(journal, of), of.rule, journal.targets)
