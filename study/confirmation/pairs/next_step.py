"""This module says what a confirmation measures next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from study.confirmation.pairs.part import WHOLE, Part
from study.confirmation.records import PairsJournal, Stage
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


def next_step(journal: PairsJournal, of: Subject, most: int, part: Part = WHOLE) -> Next | None:
    """Return A/A pairs, then the stress, then pairs until a look decides; None at the end.

    Args:
        journal: What is measured so far.
        of: What is confirmed.
        most: How many pairs to measure at most.
        part: Which of them are this card's.
    """
    aa = len(journal.of("aa"))
    if journal.failure is not None:
        return None
    if aa < of.aa_pairs:
        return _pair("aa", journal, part)
    if has_drift(journal, of):  # once more as many: one alarm in twenty is chance
        return _pair("aa", journal, part) if aa < 2 * of.aa_pairs else None
    if journal.stress is None:
        return Next("stress", 1)
    is_open = verdict_of(journal, of).status is Status.INCONCLUSIVE
    return _pair("ab", journal, part, most) if is_open else None


def _pair(stage: Stage, journal: PairsJournal, part: Part, most: int | None = None) -> Next | None:
    """Return the first pair of the part that is not measured; None where all are."""
    done = {pair.number for pair in journal.of(stage)}
    number = next((n for n in part.numbers(most) if n not in done), None)
    return None if number is None else Next(stage, number)
