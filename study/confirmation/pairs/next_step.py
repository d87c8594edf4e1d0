"""This module says what a confirmation measures next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from study.confirmation.records import PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict.assess import has_alarm, verdict_of

StepName = Literal["aa", "stress", "ab"]


@dataclass(frozen=True, slots=True)
class Next:
    """The next step is what is measured next: a pair, or the stress.

    Args:
        step: A pair's stage, or the stress.
        number: The pair's number in its stage, from 1.
    """

    step: StepName
    number: int


def next_step(journal: PairsJournal, of: Subject) -> Next | None:
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
    return None if verdict_of(journal, of).is_over else Next("ab", len(journal.of("ab")) + 1)
