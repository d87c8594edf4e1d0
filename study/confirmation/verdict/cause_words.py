"""This module puts the causes of a verdict into words, a sentence each."""

from __future__ import annotations

import math

from objectives.figures import figure
from study.rule.hard_facts import FAILED_MORE
from study.rule.limits import AT_MOST, LimitFinding
from study.rule.rule import LOOKS, Claim, Rule
from study.rule.verdict import Cause, RuleVerdict, VerdictReason
from study.rule.watched import covering_limit

CLAIM_TITLES = {Claim.CAPACITY: "capacity", Claim.LATENCY: "latency at today's load"}
# what needs no more than the names that a cause has
PLAIN = {
    VerdictReason.WINNER_FAILED: "the winner failed under {workload}: {name}: {evidence}",
    VerdictReason.BASELINE_FAILED: "the baseline failed under {workload}: {name}: {evidence}",
    VerdictReason.TODAY_WORKS: "what is in use today works after all; run the study again, "
    "which then compares with it",
    VerdictReason.TODAY_NOT_LAUNCHED: "what is in use today was not launched again",
    VerdictReason.WORDS_WORSE: "its words are worse than the gate allows",
    VerdictReason.DRIFT: "the baseline against itself seems better or worse: drift, or an effect "
    "of the order",
    VerdictReason.FAILED_NOT_COUNTED: "failed requests were not counted under {workload}",
    VerdictReason.FREE_MEMORY_NOT_MEASURED: "the free memory under stress was not measured",
    VerdictReason.HOLDS_NOT_MEASURED: "the capacity is not proven yet at a constant rate, "
    "which confirm.py without --take measures next",
    VerdictReason.CLAIM_WORSE: "{claim} is worse, not better",
    VerdictReason.CLAIM_NOT_SHOWN: "{claim} is not shown to be better",
    VerdictReason.HELD_OUT_NOT_SHOWN: "{claim} is not shown to be better on the mean of the other "
    "workloads",
    VerdictReason.HELD_OUT_WORSE: "{claim} is worse under {workload}",
}


def title(flat: str) -> str:
    """Return what a figure is called in a sentence.

    >>> title("llm_tpot_p95_ms"), title("capacity_turns_per_s")
    ('LLM each token p95', 'capacity, turns a second')
    """
    return figure(flat).title or figure(flat).short or flat


def cause_in_words(cause: Cause, verdict: RuleVerdict, rule: Rule) -> str:
    """Say what is against the winner, or what is open, without a full stop."""
    name, under, value = cause.name, cause.workload, cause.value or 0.0
    if (text := PLAIN.get(cause.reason)) is not None:
        claim = CLAIM_TITLES[Claim(name)] if "{claim}" in text else ""
        return text.format(workload=under, name=name, evidence=cause.evidence, claim=claim)
    match cause.reason:
        case VerdictReason.OUT_OF_MEMORY:
            times = "once" if value == 1 else f"{value:g} times"
            text = f"a server or tenant ran out of memory {times} in the winner's launches"
        case VerdictReason.FAILED_REQUESTS:
            text = f"{100 * value:.1f} points more of the requests failed under {under} than with "
            text += "the baseline"
            if rule.is_alone:
                most = f"at most {100 * FAILED_MORE:g} % may"
                text = f"{100 * value:.1f} % of the requests failed under {under}, {most}"
        case VerdictReason.FREE_MEMORY:
            gate = f"the gate asks for {rule.free_memory_mib or 0.0:g}"
            text = f"under stress only {value:,.0f} MiB stayed free, {gate}"
        case VerdictReason.WORDS_UNSURE | VerdictReason.WORDS_NOT_MEASURED:
            known = "cannot tell" if cause.reason is VerdictReason.WORDS_UNSURE else "not measured"
            more = f"; about {value:.0f} more minutes of audio would tell" if value else ""
            text = f"word errors: {known}{more}"
        case VerdictReason.CAPACITY_NOT_HELD:
            today = f"no rate above the {value:.2f} turns/s of the baseline"
            text = f"the winner holds {today if value else 'none of its rates'}"
        case VerdictReason.TOO_FEW_PAIRS:
            text = f"{value:g} of at least {LOOKS[0]} pairs"
        case VerdictReason.CLAIM_NOT_MEASURED:
            pairs = f"{value:g} of {verdict.pairs} pairs"
            text = f"{CLAIM_TITLES[Claim(name)]} was not measured in {pairs} under {under}"
        case VerdictReason.NO_GOOD_RATE:
            pairs = f"{value:g} of {verdict.pairs} pairs"
            text = f"no rate is good for the {name} in {pairs} under {under}"
        case VerdictReason.FIGURE_LOST:
            text = f"the winner lacks {title(name)} ({name}) in some pairs under {under}"
        case _:
            text = f"{title(name)} ({name}) under {under} {_judged(cause, verdict, rule)}"
    return text


def _judged(cause: Cause, verdict: RuleVerdict, rule: Rule) -> str:
    """Say how a figure stands to its limit."""
    if cause.reason is VerdictReason.WATCHED_WORSE:
        limit_ms = covering_limit(cause.name, rule.limits)
        outside = "" if limit_ms is None else f", and may be outside its limit of {_ms(limit_ms)}"
        return f"is worse by more than 10 %{outside}"
    if cause.reason is VerdictReason.LIMIT_NOT_MEASURED:
        return "has a limit and was not measured"
    finding = next(
        f for f in verdict.limits if (f.workload, f.figure) == (cause.workload, cause.name)
    )
    if finding.next_launch_ms <= finding.limit_ms and finding.baseline_ms is not None:
        today = f"more than {AT_MOST:g} x today's {_ms(finding.baseline_ms)}"
        next_one = f"one more launch of the winner may take {_ms(finding.next_launch_ms)}"
        return f"is inside its limit of {_ms(finding.limit_ms)}, but {next_one}, {today}"
    word = "breaks" if cause.reason is VerdictReason.LIMIT_BROKEN else "is not shown to keep"
    return f"{word} its limit of {_ms(finding.limit_ms)}: {_launches(finding)}"


def _launches(finding: LimitFinding) -> str:
    today = "not measured" if finding.baseline_ms is None else _ms(finding.baseline_ms)
    is_known = math.isfinite(finding.next_launch_ms)
    next_one = _ms(finding.next_launch_ms) if is_known else "any time"
    return f"today's launches take {today}, and one more of the winner may take {next_one}"


def _ms(ms: float) -> str:
    """Return a time as people read it.

    >>> _ms(48.24), _ms(1234.5)
    ('48.2 ms', '1,234 ms')
    """
    return f"{ms:,.0f} ms" if ms >= 100 else f"{f'{ms:.1f}'.removesuffix('.0')} ms"
