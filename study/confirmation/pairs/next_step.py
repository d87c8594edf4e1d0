"""This module says what a confirmation measures next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from study.confirmation.records import PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict.assess import has_drift, verdict_of
from study.rule.verdict import Status

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


def next_step(journal: PairsJournal, of: Subject, most: int) -> Next | None:
    """Return A/A pairs, then the stress, then pairs until a look decides; None at the end.

    Args:
        journal: What is measured so far.
        of: What is confirmed.
        most: How many pairs to measure at most.
    """
    aa, ab = len(journal.of("aa")), len(journal.of("ab"))
    if journal.failure is not None:
        return None
    if aa < of.aa_pairs:
        return Next("aa", aa + 1)
    if has_drift(journal, of):  # once more as many: one alarm in twenty is chance
        return Next("aa", aa + 1) if aa < 2 * of.aa_pairs else None
    if journal.stress is None:
        return Next("stress", 1)
    is_open = verdict_of(journal, of).status is Status.INCONCLUSIVE
    return Next("ab", ab + 1) if is_open and ab < most else None
