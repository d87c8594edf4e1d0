"""This module says in words what services are sent, and within which time they answer; pure."""

from __future__ import annotations

from collections.abc import Mapping

from objectives.allocation import Allocation
from objectives.capacity.ramp_figures import limits_of
from objectives.engines.registry import apis_of
from objectives.figures import latency_p95_names, service_name
from objectives.measurement import INFINITE, Measurement
from objectives.traffic.workload import Traffic
from study.spec.traces.words import (
    left_out_in_words,
    lengths_in_words,
    sent_in_words,
    slice_in_words,
    turn_in_words,
)
from study.storage.context import StudyContext
from study.text import listed

SHARERS: Mapping[str, str] = {"completions": "an LLM", "transcription": "speech recognition"}
LEAST_GOODPUT_PCT = 50.0  # below it the window shows an overload and not the owner's load


def latencies_of(context: StudyContext) -> list[str]:
    """Return the flat name of each service's p95 latency, in the order of a voice turn."""
    return latency_p95_names(apis_of(context.services))


def sharers(context: StudyContext) -> str:
    """Return who shares the device: "an LLM and speech recognition"."""
    of_turns = {t.service: SHARERS[t.api] for t in context.workload.of_turns}
    names = [of_turns.get(name, name) for name in context.services]
    return listed(names)


def not_judged(context: StudyContext, allocation: Allocation) -> list[str]:
    """Say which options of an allocation may change answers that nobody judged."""
    names = listed(context.unjudged(allocation))
    return [f"Nobody judged the answers that {names} may change."] if names else []


def traffic_in_words(context: StudyContext) -> str:
    """Say what is sent to the servers in every launch."""
    w = context.workload
    if w.trace is not None:
        replayed = [slice_in_words(w.trace), *left_out_in_words(w.trace)]
        return (
            f"{w.window_s:g} s, the same in every launch (seed {w.seed}): {'; '.join(replayed)}; "
            f"{sent_in_words(w)}; {lengths_in_words(w)}"
        )
    turns = [f"{w.turns_per_s:g} turns a second, {turn_in_words(w)}"] if w.turns_per_s else []
    streams = turns + [_beside_turns(traffic) for traffic in w.of_turns if traffic.per_s]
    return (
        f"{w.window_s:g} s, the same in every launch (seed {w.seed}): {'; '.join(streams)}; "
        f"{w.prompt_tokens[0]} to {w.prompt_tokens[1]} tokens in, {w.output_tokens} out"
    )


def _beside_turns(traffic: Traffic) -> str:
    """Say what a service of turns gets outside them."""
    if traffic.api == "transcription":
        return f"{traffic.per_s:g} spoken clips a second"
    return f"{traffic.per_s:g} LLM requests a second in bursts of {traffic.burst}"


def first_look(context: StudyContext, measured: Measurement) -> list[str]:
    """Say what the baseline's first launch shows of the owner's limits and traffic.

    It says which limits the baseline misses, and whether the traffic is beyond the card; nothing
    where neither is so.
    """
    lines, what = [], "the baseline itself" if context.has_today else "what was tried first"
    for limit in limits_of(context.limits):
        value = measured.figure(limit.name)
        if value is not None and value > limit.ms:
            p95 = "failed requests" if value == INFINITE else f"{value:,.1f} ms"
            lines.append(
                f"{what} misses {limit.name}: {p95}, the limit is {limit.ms:,g} ms; "
                'there only "no worse than that" counts'
            )
    goodput_pct = measured.goodput_pct
    woken = [service_name(name) for name, s in measured.services.items() if s.cold_starts]
    is_low = goodput_pct is not None and goodput_pct < LEAST_GOODPUT_PCT
    if is_low and woken:
        lines.append(
            f"{goodput_pct:.1f} % of the baseline's turns meet the limits, since some waited until "
            f"{' and '.join(woken)} had started"
        )
    elif is_low:
        capacity_per_s = measured.capacity_or_0
        half = f", {capacity_per_s / 2:.3g} turns/s" if capacity_per_s else ""
        lines.append(
            f"this traffic is beyond the card: {goodput_pct:.1f} % of the baseline's turns meet "
            f"the limits; measure at half of its capacity{half} (`workload:` in the spec)"
        )
    return lines


def limits_in_words(context: StudyContext) -> str:
    """Say what a good turn meets."""
    names = {
        "latency": "answers within {} ms",
        "ttft": "begins within {} ms",
        "tpot": "{} ms a token",
    }
    limits = [
        f"{service_name(limit.service)} {names[limit.figure].format(f'{limit.ms:,.0f}')}"
        for limit in limits_of(context.limits)
    ]
    return ", ".join(limits) or "not recorded"
