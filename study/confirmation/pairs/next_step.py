"""This module says what a confirmation measures next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from study.confirmation.pairs.part import WHOLE, Part
from study.confirmation.records import PairsJournal, Stage
from study.confirmation.subject import Subject
from study.confirmation.verdict.assess import has_drift, hold_to_come, verdict_of_pairs
from study.rule.rule import LOOKS
from study.rule.verdict import VerdictStatus

StepName = Literal["aa", "today", "stress", "ab", "hold"]
PAIRS: tuple[StepName, ...] = ("aa", "ab")


@dataclass(frozen=True, slots=True)
class Next:
    """The next step is what is measured next: a pair, the stress, or a hold.

    Args:
        step: A pair's stage, what is in use today, the stress, or a hold.
        number: The number of the pair in its stage, or of the hold, from 1.
    """

    step: StepName
    number: int


def next_step(journal: PairsJournal, of: Subject, most: int, part: Part = WHOLE) -> Next | None:
    """Return A/A pairs, then the stress, then pairs until a look decides; None at the end.

    Where what is in use did not work, it is launched once more before all else. Where pairs
    confirm a capacity, holds follow, on one card.

    Args:
        journal: What is measured so far.
        of: What is confirmed.
        most: How many pairs to measure at most.
        part: Which of them are this card's.
    """
    today, aa = journal.today, len(journal.of("aa"))
    if journal.failure is not None or (today is not None and today.failure is None):
        return None
    if of.today is not None and today is None:
        return Next("today", 1)
    is_drifting = aa >= of.aa_pairs and has_drift(journal, of)
    if aa < of.aa_pairs or is_drifting:
        # where it drifts, once more as many: one alarm in twenty is chance
        is_left = aa < of.aa_pairs * (2 if is_drifting else 1)
        return _pair("aa", journal, part) if is_left else None
    return _of_winner(journal, of, most, part)


def next_pairs(journal: PairsJournal, of: Subject, most: int) -> list[Next]:
    """Return the pairs that may be measured at once: none beyond the look that decides next."""
    step = next_step(journal, of, most)
    if step is None or step.step not in PAIRS:
        return []
    stage: Stage = "aa" if step.step == "aa" else "ab"
    done = {pair.number for pair in journal.of(stage)}
    if stage == "aa":
        last = of.aa_pairs if len(done) < of.aa_pairs else 2 * of.aa_pairs
    else:
        last = min(most, next(look for look in LOOKS if look > len(done)))
    return [Next(stage, n) for n in range(1, last + 1) if n not in done]


def _of_winner(journal: PairsJournal, of: Subject, most: int, part: Part) -> Next | None:
    """Return what is measured next of the winner, once the baseline is known."""
    if journal.stress is None:
        return Next("stress", 1)
    if verdict_of_pairs(journal, of).status is VerdictStatus.INCONCLUSIVE:
        return _pair("ab", journal, part, most)
    has_hold = part == WHOLE and hold_to_come(journal, of) is not None
    return Next("hold", len(journal.holds) + 1) if has_hold else None


def _pair(stage: Stage, journal: PairsJournal, part: Part, most: int | None = None) -> Next | None:
    """Return the first pair of the part that is not measured; None where all are."""
    done = {pair.number for pair in journal.of(stage)}
    number = next((n for n in part.numbers(most) if n not in done), None)
    return None if number is None else Next(stage, number)
