"""`HardFacts` need no interval: memory, failed requests, words and free memory; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from objectives.speech.wer import WordVerdict
from study.rule.pairs import Role
from study.rule.rule import Rule
from study.rule.verdict import Cause, VerdictReason

FAILED_MORE = 0.01  # share of requests that the winner may fail more than the baseline
Today = Literal["", "fails", "works", "not_launched"]


@dataclass(frozen=True, slots=True)
class LaunchFailure:
    """A launch failure is a launch that did not work.

    Args:
        role: Whose launch it was.
        under: The workload, or the stress.
        failure_class: The class of the failure, e.g. `oom_startup`.
        evidence: The line of a log that shows it.
    """

    role: Role
    under: str
    failure_class: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HardFacts:
    """Hard facts are what was seen over all launches so far, the stress included.

    Args:
        failures: The launches that did not work.
        oom_events: Incidents out of memory in the winner's launches, tenants' included.
        failed_more: By workload, the winner's share of failed requests less the baseline's; None
            where it was not counted.
        words: The gate of the words.
        minutes_more_audio: How much more speech would decide it; None where none would.
        free_mib: The least free memory under stress, MiB; None where it was not measured.
        has_drift: Whether the baseline seems better or worse than itself.
        today: What a fresh launch of what is in use did, where the winner is alone because that
            does not work; empty where there is nothing to launch.
    """

    failures: tuple[LaunchFailure, ...] = ()
    oom_events: int = 0
    failed_more: Mapping[str, float | None] = field(default_factory=dict)
    words: WordVerdict = WordVerdict.PASS
    minutes_more_audio: float | None = None
    free_mib: float | None = None
    has_drift: bool = False
    today: Today = ""


def hard_causes(facts: HardFacts, rule: Rule) -> Iterator[Cause]:
    """Yield what rules the winner out whatever the pairs say."""
    for f in facts.failures:
        if f.role == "winner":
            yield Cause(VerdictReason.WINNER_FAILED, f.under, f.failure_class, evidence=f.evidence)
    if facts.oom_events:
        yield Cause(VerdictReason.OUT_OF_MEMORY, value=facts.oom_events)
    for workload, more in facts.failed_more.items():
        if more is not None and more > FAILED_MORE:
            yield Cause(VerdictReason.FAILED_REQUESTS, workload, value=more)
    if facts.words is WordVerdict.FAIL:
        yield Cause(VerdictReason.WORDS_WORSE)
    gate_mib, free_mib = rule.free_memory_mib, facts.free_mib
    if gate_mib is not None and free_mib is not None and free_mib < gate_mib:
        yield Cause(VerdictReason.FREE_MEMORY, value=free_mib)


def open_facts(facts: HardFacts, rule: Rule) -> Iterator[Cause]:
    """Yield what keeps the winner from being confirmed whatever the pairs say."""
    for f in facts.failures:
        if f.role == "baseline":
            yield Cause(
                VerdictReason.BASELINE_FAILED, f.under, f.failure_class, evidence=f.evidence
            )
    if facts.today == "works":
        yield Cause(VerdictReason.TODAY_WORKS)
    if facts.today == "not_launched":
        yield Cause(VerdictReason.TODAY_NOT_LAUNCHED)
    if facts.has_drift:
        yield Cause(VerdictReason.DRIFT)
    for workload, more in facts.failed_more.items():
        if more is None:
            yield Cause(VerdictReason.FAILED_NOT_COUNTED, workload)
    if facts.words is WordVerdict.CANNOT_TELL:
        yield Cause(VerdictReason.WORDS_UNSURE, value=facts.minutes_more_audio)
    if facts.words is WordVerdict.NOT_MEASURED:
        yield Cause(VerdictReason.WORDS_NOT_MEASURED, value=facts.minutes_more_audio)
    if rule.free_memory_mib is not None and facts.free_mib is None:
        yield Cause(VerdictReason.FREE_MEMORY_NOT_MEASURED)
