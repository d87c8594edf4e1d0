"""The answer of a study in words, before anybody confirmed it. Pure."""

from __future__ import annotations

from objectives.allocation import Allocation
from study.cells import short
from study.decision import Decision
from study.question import Question


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


def allocation_in_words(allocation: Allocation) -> str:
    """An allocation in a sentence.

    >>> in_words(Allocation({"vllm_memory_util": 0.375, "whisper_model_size": "base"}))
    '37.5 % of the memory for the LLM, beside speech model base'
    """
    more = {**allocation.options("vllm."), **allocation.options("whisper.")}
    extra = f", with {', '.join(f'{k} {v}' for k, v in more.items())}" if more else ""
    return f"{100 * allocation.share:g} % of the memory for the LLM, beside speech model {allocation.speech}{extra}"


def standing(decision: Decision, asked: Question) -> str:
    """How sure the answer is, in a few words."""
    if decision.winner is None:
        return "nothing to confirm"
    return (
        "a replay, measured elsewhere: not valid for this machine" if asked.is_replay else "not confirmed: a candidate"
    )
