"""This module says what a confirmation measures next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from study.confirmation.records import Journal
from study.confirmation.subject import Subject
from study.confirmation.verdict.assess import has_alarm, verdict

Step = Literal["aa", "stress", "ab"]


@dataclass(frozen=True, slots=True)
class Next:
    """What is measured next: a pair with its number in its stage, from 1, or the stress."""

    step: Step
    number: int


def next_step(journal: Journal, of: Subject) -> Next | None:
    """Return A/A pairs, then the stress, then pairs until the verdict is over; None at the end."""
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
