"""Tell the answer of a study in a sentence, how sure it is, and what fresh launches said. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.engines.engine import apis_of, kv_cache_args
from objectives.figures import CAPACITY, FITNESS, figure, title_of
from study.analysis.compare import Difference, FigureVerdict, difference, figure_differences
from study.analysis.configurations import Configuration
from study.analysis.kv_cache import unfilled_cache
from study.analysis.noise import is_noise
from study.confirmation.verdict_file import Confirmation
from study.promotion.status import Status
from study.report.analysis_words import cache_warnings
from study.report.answer import (
    answer,
    capacity_known,
    certainty,
    fitness_gap,
    unconfirmed_standing,
)
from study.report.comparison import change
from study.report.reasons import why
from study.report.service_words import in_sentence, latencies_of
from study.report.summary import Summary
from study.wording import allocation_in_words, short


def standing(summary: Summary) -> str:
    """Say in a few words how sure the answer is."""
    if summary.confirmation is not None:
        return summary.confirmation.standing
    return unconfirmed_standing(summary.decision, summary.context)


def sentence(summary: Summary) -> str:
    """Say the answer in a sentence, and in a second one where noise could explain its gain."""
    decision, context = summary.decision, summary.context
    today, other, launched = summary.today, summary.other, summary.configurations
    confirmation = summary.confirmation
    is_confirmed = confirmation is not None and confirmation.verdict is Status.CONFIRMED
    plain = _capital(answer(decision, context, is_confirmed=is_confirmed))
    if summary.is_rejected and other is not None:
        stays, name = allocation_in_words(context.baseline), short(other.allocation)
        return f"Stay with {stays}: {name} won the study, and fresh launches rejected it."
    if decision.winner is None or today is None or other is None:
        return f"{plain}."
    if not summary.is_ended:
        return (
            "Run the replay again, which did not come to its end, before you believe what won so "
            f"far: {plain}."
        )
    apis, latencies = apis_of(context.services), latencies_of(context)
    parts = _sooner([difference(name, today, other, launched) for name in latencies])
    if other.mean(CAPACITY) is not None:
        parts.append(_capacity(today, other, launched))
    worse = "; ".join(
        f"{figure(d.name).title} {change(d, is_judged=False)}"
        for d in figure_differences(today, other, launched, apis, (*latencies, CAPACITY))
        if d.verdict is FigureVerdict.WORSE
    )
    unsure = {
        None: " How much of that is noise was not measured.",
        True: " Noise alone could explain the difference in fitness.",
        False: "",
    }[is_noise(FITNESS.flat, today, other, launched)]
    ending = f" Worse: {worse}." if worse else ""
    return f"{plain}: {', '.join(parts)}.{ending}{'' if confirmation else unsure}"


def _sooner(latencies: Sequence[Difference]) -> list[str]:
    """Say how much sooner each service answers; nothing of one that was not measured."""
    parts: list[str] = []
    for d in latencies:
        if d.pct is None or d.verdict is FigureVerdict.NOT_MEASURED or not d.new:
            continue
        is_same = d.verdict in (
            FigureVerdict.EQUAL,
            FigureVerdict.ABOUT_EQUAL,
            FigureVerdict.WITHIN_NOISE,
        )
        when = f"{abs(d.pct):.0f} % {'sooner' if d.pct < 0 else 'later'}"
        who = f"{in_sentence(figure(d.name).service)}{'' if parts else ' answers'}"
        parts.append(f"{who} {'as soon' if is_same else when}")
    return parts


def _capacity(today: Configuration, other: Configuration, launched: Sequence[Configuration]) -> str:
    d = difference(CAPACITY, today, other, launched)
    was = "not measured" if d.old is None else f"{'at least ' * d.old_is_bound}{d.old:.2f}"
    which = ", within noise" if is_noise(CAPACITY, today, other, launched) else ""
    which = "; which has more is not known" if d.verdict is FigureVerdict.BOUND else which
    return f"{'at least ' * d.new_is_bound}{d.new:.2f} turns/s (today: {was}{which})"


def how_sure(summary: Summary, *, with_source: bool = True) -> list[str]:
    """Say what speaks for the answer and against it, in a list of sentences.

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
    if summary.confirmation is not None:
        lines.append(fresh(summary.confirmation))
    elif decision.winner is not None and not context.is_replay:
        lines.append(
            "Not confirmed: the best of one study is a candidate. "
            "Fresh runs of both, in turn, would confirm it."
        )
    lines += fitness_gap(today, summary.other, summary.configurations)
    lines += [f"{line}." for line in certainty(decision)]
    count, works = len(summary.configurations), sum(c.is_feasible for c in summary.configurations)
    lines.append(f"{count} configurations were tried, {works} of them work within every limit.")
    lines += [f"{_capital(line)}." for line in unfilled_cache_lines(summary)]
    lines += capacity_known(today)
    if decision.winner is None and today is not None and today.is_feasible:
        lines.append("Nothing that may be promoted scored better than what is in use today.")
    elif decision.winner is None:
        lines.append(f"{_capital(why(decision, context))}.")
    return lines


def fresh(confirmation: Confirmation) -> str:
    """Say what fresh launches of both showed, and what speaks against the winner by them."""
    c = confirmation
    lines = [f"Fresh launches of both, in turn ({c.measured}): {c.summary}. {c.says}."]
    lines += [f"Against it: {reason}." for reason in c.against]
    worse = [line for line in c.lines if line.is_worse]
    for metric in dict.fromkeys(line.metric for line in worse):
        gains = [f"{line.gain} on {line.workload}" for line in worse if line.metric == metric]
        lines.append(f"Worse, {title_of(metric)} ({metric}): {', '.join(gains)}.")
    return " ".join(lines)


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def unfilled_cache_lines(summary: Summary) -> list[str]:
    """Return warnings where this workload leaves the KV cache so empty that no share can matter."""
    context = summary.context
    args = kv_cache_args(context.services)
    return cache_warnings(unfilled_cache(summary.measured, context.workload, args))
