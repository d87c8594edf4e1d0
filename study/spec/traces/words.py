"""Words say which slice of a trace a workload replays, and what was left out of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from objectives.figures import service_name
from objectives.traffic.trace_slice import TraceSlice
from objectives.traffic.workload import Workload
from study.spec.model import HeldOut

MOST = 0.5  # of the requests


def slice_in_words(trace: TraceSlice) -> str:
    """Say which slice of which file is replayed, and how it was changed."""
    options, facts = trace.options, trace.facts
    until_s = options.from_s + options.for_s
    words = [
        f"{PurePath(options.file).name} ({options.format}), "
        f"seconds {options.from_s:,g} to {until_s:,g}"
    ]
    if options.thin < 1:
        in_slice = facts.in_file - facts.failed
        words.append(f"thinned to {facts.thinned:,} of its {in_slice:,} LLM requests")
    if options.speed != 1:
        how = "sped up" if options.speed > 1 else "slowed down"
        words.append(f"{how}: {options.for_s:,g} s of it in {options.for_s / options.speed:,g} s")
    if options.jitter_s:
        words.append(f"each moved by up to {options.jitter_s:g} s")
    return ", ".join(words)


def left_out_in_words(trace: TraceSlice) -> list[str]:
    """Say which shares of the requests and of their tokens were left out or cut."""
    options, facts = trace.options, trace.facts
    lines = []
    if facts.failed:
        lines.append(
            f"{_share(facts.failed, facts.in_file)} of its requests have no prompt or no answer "
            "and are left out"
        )
    if facts.too_long:
        requests, tokens = (
            _share(facts.too_long, facts.thinned),
            _share(facts.tokens_lost, facts.tokens),
        )
        done = f"clipped, which costs {tokens} of the tokens"
        if options.too_long == "drop":
            done = f"dropped, with {tokens} of the tokens"
        lines.append(
            f"{requests} of its requests are longer than the {options.longest:,} tokens that the "
            f"server takes: they are {done}"
        )
    return lines


def trace_notes(main: Workload, held_out: Iterable[HeldOut] = ()) -> list[str]:
    """Say before the first launch what traces are, what was left out, and what to look at."""
    lines = [f"workload.trace: {line}" for line in _notes(main)]
    for other in held_out:
        if other.trace is not None:
            lines += [f"workloads: {other.name}: {line}" for line in _notes(other.trace)]
    return lines


def _notes(workload: Workload) -> list[str]:
    if (trace := workload.trace) is None:
        return []
    options, facts = trace.options, trace.facts
    lines = [
        f"the window replays {slice_in_words(trace)}",
        f"{sent_in_words(workload)}; {lengths_in_words(workload)}",
        *left_out_in_words(trace),
    ]
    if facts.too_long > MOST * facts.thinned:
        lines.append(
            "most of its requests do not fit this server, so what is left is hardly the traffic "
            "of the trace: take another one, or a longer --max-model-len"
        )
    if facts.grid_s is not None and not options.jitter_s:
        lines.append(
            f"{facts.grid_pct:.0f} % of its stamps lie on a grid of {facts.grid_s:g} s, so that "
            f"requests come in bunches; `jitter_s: {facts.grid_s:g}` spreads them over it"
        )
    if options.longest is None:
        lines.append(
            "nobody says how long a request the LLM server takes, so none is dropped or clipped: "
            "write --max-model-len in services.llm.args where it is less than "
            f"{sum(facts.longest):,} tokens"
        )
    if options.speed > 1:
        lines.append("a trace that is sped up shows more load than its users made")
    return lines


def turn_in_words(workload: Workload) -> str:
    """Say what a turn is.

    >>> turn_in_words(Workload()), turn_in_words(Workload(turn=("stt", "llm", "voice")))
    ('a clip and then an LLM request', 'each through speech, LLM and voice')
    """
    if not workload.turn:
        return "a clip and then an LLM request"
    *names, last = map(service_name, workload.turn)
    return f"each through {', '.join(names)} and {last}"


def sent_in_words(workload: Workload) -> str:
    """Say how many requests a second are sent."""
    streams = {
        f"{workload.turns_per_s:.3g} turns a second, {turn_in_words(workload)}": (
            workload.turns_per_s
        ),
        f"{workload.llm_per_s:.3g} LLM requests a second": workload.llm_per_s,
        f"{workload.stt_per_s:.3g} spoken clips a second": workload.stt_per_s,
    }
    return "; ".join(words for words, per_s in streams.items() if per_s)


def lengths_in_words(workload: Workload) -> str:
    """Say how long prompts and answers are."""
    drawn = f"{workload.prompt_tokens[0]:,} to {workload.prompt_tokens[1]:,} tokens in"
    if workload.trace is None:
        return f"{drawn}, {workload.output_tokens:,} out"
    facts = workload.trace.facts
    return (
        f"{drawn} ({facts.prompt_mean:,.0f} on average), up to {workload.output_tokens:,} out "
        f"({facts.output_mean:,.0f})"
    )


def _share(part: int, whole: int) -> str:
    """Return a share in percent.

    >>> _share(1, 8), _share(1, 3000)
    ('12.5 %', 'less than 0.1 %')
    """
    pct = 100.0 * part / whole if whole else 0.0
    return f"{pct:.1f} %" if pct >= 0.05 or not part else "less than 0.1 %"
