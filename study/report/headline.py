"""Tell the answer of a study in a sentence, how sure it is, and what fresh launches said. Pure."""

from __future__ import annotations

from objectives.engines.engine import kv_cache_args
from objectives.figures import title_of
from study.analysis.configurations import ranked
from study.analysis.decision import Conclusion
from study.analysis.kv_cache import unfilled_cache
from study.analysis.promotion_eligibility import is_eligible
from study.confirmation.verdict_file import Confirmation
from study.promotion.status import Status
from study.report.analysis_words import cache_warnings
from study.report.answer import (
    ahead_by_its_own_launches,
    better,
    capacity_known,
    choice,
    first,
    free_memory,
    no_good_rate,
    unconfirmed_standing,
    worse,
)
from study.report.simpler import simpler
from study.report.summary import Summary
from study.report.trial_words import outcome_in_words
from study.text import capital
from study.wording import allocation_in_words, short


def standing(summary: Summary) -> str:
    """Say in a few words how sure the answer is."""
    if summary.confirmation is not None:
        return summary.confirmation.standing
    return unconfirmed_standing(summary.decision, summary.context)


def sentence(summary: Summary) -> str:
    """Say what to run; before a confirmation, that is a candidate."""
    decision, context, confirmation = summary.decision, summary.context, summary.confirmation
    if summary.is_rejected and summary.other is not None:
        stays, name = allocation_in_words(context.baseline), short(summary.other.allocation)
        return f"Stay with {stays}: {name} won the study, and fresh launches rejected it."
    is_confirmed = confirmation is not None and confirmation.verdict is Status.CONFIRMED
    plain = capital(choice(decision, context, is_confirmed=is_confirmed))
    if decision.winner is not None and not summary.is_ended:
        return (
            "Run the replay again, which did not come to its end, before you believe what won so "
            f"far: {plain}."
        )
    return f"{plain}."


def answer_lines(summary: Summary) -> list[str]:
    """Say by how much the winner is better, what gets worse, and whether less would have found it.

    Each is a sentence or two. Where fresh launches judged the winner, their figures are told and
    not the study's.
    """
    today, other, decision = summary.today, summary.other, summary.decision
    lines: list[str] = []
    if decision.winner is None:
        match decision.outcome:
            case Conclusion.NOTHING_BETTER | Conclusion.NOTHING_ELIGIBLE_BETTER:
                lines = ["Nothing that may be promoted scored better than what is in use today."]
            case Conclusion.NOTHING_ELSE_MEASURED:
                lines = ["Nothing else was measured."]
            case Conclusion.BASELINE_NOT_MEASURED:
                lines = _without_baseline(summary)
    elif today is not None and other is not None:
        lines = [better(summary, today, other), worse(summary, today, other)]
        if summary.confirmation is not None:
            lines = fresh(summary.confirmation)
        lines += [] if summary.is_rejected else free_memory(summary, today, other)
    return [*lines, *no_good_rate(today), *simpler(summary)]


def _without_baseline(summary: Summary) -> list[str]:
    """Say why nothing can be said to beat what is in use today, and what works best."""
    context, today = summary.context, summary.today
    launches = [*today.failed, *(t for t in today.measured if not t.is_feasible)] if today else []
    failed = f": {outcome_in_words(launches[-1])}" if launches else ""
    lines = [f"In use today, {short(context.baseline)}{failed}; nothing can be said to beat it."]
    works = [c for c in ranked(summary.configurations) if is_eligible(c, context)]
    if works:
        best = short(works[0].allocation, context.baseline)
        lines.append(f"Of what was launched, {best} works best.")
    return lines


def how_sure(summary: Summary, *, with_source: bool = True) -> list[str]:
    """Say what else a reader of the answer should know, in a list of sentences.

    Args:
        with_source: Whether to begin with where a replay's figures were measured.
    """
    context, decision, today = summary.context, summary.decision, summary.today
    lines = []
    if context.is_replay and with_source:
        lines.append(
            f"These figures were {context.measured_elsewhere}. They hold for that machine and say "
            "nothing about another: measure yours, as the project's README shows."
        )
    elif summary.confirmation is None and decision.winner is not None:
        lines.append(
            "Not confirmed: the best of one study is a candidate. "
            "Fresh runs of both, in turn, would confirm it."
        )
    count, works = len(summary.configurations), sum(c.is_feasible for c in summary.configurations)
    lines.append(f"{works} of {count} configurations that were tried fit and pass every gate.")
    if decision.reference is not None:
        other = short(decision.reference, context.baseline)
        lines.append(f"Fitness is relative to {other}: today's has no usable measurement.")
    lines += ahead_by_its_own_launches(decision)
    lines += [f"{capital(line)}." for line in unfilled_cache_lines(summary)]
    lines += capacity_known(today)
    return lines


def fresh(c: Confirmation) -> list[str]:
    """Say what fresh launches of both showed, what speaks against the winner, what gets worse."""
    held = f"; {c.held}" if c.held else ""
    lines = [f"Fresh launches of both, in turn ({c.measured}): {c.summary}. {c.says}{held}."]
    if c.against:
        lines.append(f"Against it: {'; '.join(first(c.against))}.")
    gains: dict[str, list[str]] = {}
    for line in c.lines:
        if line.is_worse:
            gains.setdefault(line.metric, []).append(f"{line.gain} on {line.workload}")
    lost = [f"{title_of(name)} ({name}) {', '.join(each)}" for name, each in gains.items()]
    return [*lines, *([f"Gets worse: {'; '.join(first(lost))}."] if lost else [])]


def unfilled_cache_lines(summary: Summary) -> list[str]:
    """Return warnings where this workload leaves the KV cache so empty that no share can matter."""
    context = summary.context
    args = kv_cache_args(context.services)
    return cache_warnings(unfilled_cache(summary.measured, context.workload, args))
