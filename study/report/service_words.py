"""Say in words what the services of a study are sent and within which time they answer. Pure."""

from __future__ import annotations

from objectives.capacity.ramp_figures import limits_of
from objectives.engines.engine import apis_of
from objectives.figures import latency_p95_names, service_name
from study.storage.context import StudyContext


def latencies_of(context: StudyContext) -> list[str]:
    """Return the flat name of each service's p95 latency, in the order of a voice turn."""
    return latency_p95_names(apis_of(context.services))


def sharers(context: StudyContext) -> str:
    """Return who shares the device: "an LLM and speech recognition"."""
    kinds = {"LLM": "an LLM", "speech": "speech recognition"}
    names = [kinds.get(n, n) for n in map(service_name, context.services)]
    return " and ".join(", ".join(names).rsplit(", ", 1))


def traffic_in_words(context: StudyContext) -> str:
    """Say what is sent to the servers in every launch."""
    w = context.workload
    streams = {
        f"{w.turns_per_s:g} turns a second, a clip and then an LLM request": w.turns_per_s,
        f"{w.llm_per_s:g} LLM requests a second in bursts of {w.llm_burst}": w.llm_per_s,
        f"{w.stt_per_s:g} spoken clips a second": w.stt_per_s,
    }
    return (
        f"{w.window_s:g} s, the same in every launch (seed {w.seed}): "
        f"{'; '.join(words for words, per_s in streams.items() if per_s)}; "
        f"{w.prompt_tokens[0]} to {w.prompt_tokens[1]} tokens in, {w.output_tokens} out"
    )


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
