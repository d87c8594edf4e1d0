"""The answer of a study in words, before anybody confirmed it. Pure."""

from __future__ import annotations

from study.analysis.decision import Decision
from study.storage.context import Question
from study.wording import allocation_in_words, short


def answer(decision: Decision, asked: Question, *, is_confirmed: bool) -> str:
    """One sentence: what to run, which is only told of what fresh launches confirmed; the rest is a candidate."""
    if decision.winner is not None:
        what = "run with" if is_confirmed else "the best candidate is"
        return f"{what} {allocation_in_words(decision.winner.allocation)} (today: {short(asked.baseline)})."
    if decision.standing(decision.baseline) is not None:
        return f"stay with {allocation_in_words(asked.baseline)}."
    if decision.baseline is not None and decision.baseline.is_feasible:
        return "no answer: the allocation in use today worked only some of the times it was launched."
    return "no answer: the allocation in use today could not be measured, or nothing works."


def standing(decision: Decision, asked: Question) -> str:
    """How sure the answer is, in a few words."""
    if decision.winner is None:
        return "nothing to confirm"
    return (
        "a replay, measured elsewhere: not valid for this machine" if asked.is_replay else "not confirmed: a candidate"
    )
