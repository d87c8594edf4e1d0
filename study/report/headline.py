"""A headline has a study's answer, how sure it is, and what fresh launches said of it; pure."""

from __future__ import annotations

from objectives.diagnosis.busy import CPU_PCT
from objectives.engines.registry import llm_of_turns
from objectives.figures import title_of
from study.analysis.cost.kv_cache import unfilled_cache
from study.analysis.decision import Conclusion
from study.confirmation.verdict_file import Confirmation
from study.lanes.card_names import short_name
from study.report.analysis_words import cache_warnings
from study.report.answer import (
    ahead_by_its_own_launches,
    better,
    capacity_known,
    choice,
    first,
    free_memory,
    in_figures,
    no_good_rate,
    unconfirmed_standing,
    worse,
)
from study.report.roles import failing, held_against
from study.report.service_words import not_judged
from study.report.simpler import simpler
from study.report.summary import Summary
from study.report.trial_words import outcome_in_words
from study.text import capital, cut
from study.wording.allocations import allocation_in_words, short


def standing(summary: Summary) -> str:
    """Say in a few words how sure the answer is."""
    if summary.confirmation is not None:
        return summary.confirmation.standing
    return unconfirmed_standing(summary.decision, summary.context)


def sentence(summary: Summary) -> str:
    """Say what to run; before a confirmation, that is a candidate."""
    decision, context = summary.decision, summary.context
    if not summary.configurations:
        return "No answer yet: nothing has been launched to its end."
    if summary.is_rejected and summary.other is not None:
        stays = "No answer"
        if decision.baseline is not None:
            stays = f"Stay with {allocation_in_words(context.baseline)}"
        name = short(summary.other.allocation)
        return f"{stays}: {name} won the study, and fresh launches rejected it."
    today = failing(summary.today)
    plain = capital(choice(decision, context, is_confirmed=summary.is_confirmed, today=today))
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
    today, other, decision = summary.reference, summary.other, summary.decision
    lines = today_fails(summary)
    if decision.winner is None:
        match decision.outcome:
            case Conclusion.NOTHING_BETTER | Conclusion.NOTHING_ELIGIBLE_BETTER:
                lines += ["Nothing that may be promoted scored better than what is in use today."]
            case Conclusion.NOTHING_ELSE_MEASURED:
                lines += ["Nothing else was measured."]
            case Conclusion.BASELINE_NOT_MEASURED:
                lines += ["Nothing can be said to beat what was not measured: run the study again."]
    elif other is not None:
        if summary.confirmation is not None:
            lines += fresh(summary.confirmation, is_alone=decision.baseline is None)
        elif decision.baseline is not None and today is not None:
            lines += [better(summary, today, other), worse(summary, today, other)]
        if decision.baseline is None:
            lines += [in_figures(summary, other)]
        elif today is not None and not summary.is_rejected:
            lines += free_memory(summary)
        if not summary.is_rejected:
            lines += not_judged(summary.context, other.allocation)
    return [*lines, *no_good_rate(summary.today), *simpler(summary)]


def today_fails(summary: Summary) -> list[str]:
    """Say why what is in use today does not work, with the line of a log; a line at most."""
    today, context = summary.today, summary.context
    if not context.has_today:
        return ["Nothing is in use today: this is what works best of what was tried."]
    if today is None or today.is_feasible or not (today.failed or today.measured):
        return []
    launches = [*(t for t in today.measured if not t.is_feasible), *today.failed]
    line = f"In use today, {short(context.baseline)}: {outcome_in_words(launches[-1])}"
    if today.failed and not today.fails and not today.measured:
        line += ", which says nothing of it"
    proof = next((t.diagnosis.evidence for t in today.failed if t.diagnosis), "")
    return [f"{line}. Its log: {cut(proof)}" if proof else f"{line}."]


def how_sure(summary: Summary, *, with_source: bool = True) -> list[str]:
    """Say what else a reader of the answer should know, in a list of sentences.

    Args:
        with_source: Whether to begin with where a replay's figures were measured.
    """
    context, decision = summary.context, summary.decision
    lines = []
    if context.is_replay and with_source:
        lines.append(
            f"These figures were {context.measured_elsewhere}. They hold for that machine and say "
            "nothing about another: measure yours, as the project's README shows."
        )
    elif summary.confirmation is None and decision.winner is not None:
        how = "Fresh runs of both, in turn, would confirm it."
        if decision.baseline is None:
            how = "Fresh launches would show that it works each time."
        lines.append(f"Not confirmed: the best of one study is a candidate. {how}")
    count, works = len(summary.configurations), sum(c.is_feasible for c in summary.configurations)
    lines.append(f"{works} of {count} configurations that were tried fit and pass every gate.")
    if decision.reference is not None and decision.baseline is None:
        why = "today's has no figures" if context.has_today else "nothing is in use today"
        name = short(decision.reference.allocation)
        lines.append(f"Fitness is relative to {name}, which {held_against(summary).clause}: {why}.")
    lines += ahead_by_its_own_launches(decision)
    lines += _cards_that_differ(summary)
    lines += _beside_others(summary)
    lines += [f"{capital(line)}." for line in unfilled_cache_lines(summary)]
    lines += capacity_known(summary.reference)
    return lines


def _cards_that_differ(summary: Summary) -> list[str]:
    """Say which cards differ by more than noise, and what follows; nothing where none does."""
    own = sorted({t.own_card for t in summary.trials if t.own_card is not None})
    if not own:
        return []
    names = " and ".join(short_name(card) for card in own)
    return [
        f"{names} differ{'s' * (len(own) == 1)} from the card of the reference by more than noise: "
        "what was measured there is scored against its own baseline, and compared on cards that "
        "measured both."
    ]


def _beside_others(summary: Summary) -> list[str]:
    """Say how many launches others computed beside; nothing where there were none."""
    launches = [m for _, m in summary.measured]
    count = sum((m.others_cpu_pct or 0.0) >= CPU_PCT for m in launches)
    if not count:
        return []
    beside = f"{count} of {len(launches)} launches were measured while others kept the CPU"
    return [f"{beside} {CPU_PCT:g} % busy or more: their latencies may be worse for it."]


def fresh(c: Confirmation, *, is_alone: bool = False) -> list[str]:
    """Say what fresh launches of both showed, what speaks against the winner, what gets worse.

    Args:
        c: What they showed.
        is_alone: Whether the winner was launched alone, since nothing that works is in use.
    """
    held = f"; {c.held}" if c.held else ""
    which = "" if is_alone else " of both, in turn"
    says = c.says[:1].upper() + c.says[1:]
    lines = [f"Fresh launches{which} ({c.measured}): {c.summary}. {says}{held}."]
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
    llm = llm_of_turns(context.services)
    return cache_warnings(unfilled_cache(summary.measured, context.workload, llm))
