"""Say in words what the services of a study are sent and within which time they answer. Pure."""

from __future__ import annotations

from objectives.engines.engine import engines_of
from objectives.figures import latency_p95_names, service_name
from study.storage.context import StudyContext


def apis_of(context: StudyContext) -> dict[str, str]:
    """Return the API of each service, in the order of a voice turn."""
    return {e.name: e.api for e in engines_of(context.services)}


def latencies_of(context: StudyContext) -> list[str]:
    """Return the flat name of each service's p95 latency, in the order of a voice turn."""
    return latency_p95_names(apis_of(context))


def in_sentence(service: str) -> str:
    """Return what a sentence calls a service.

    >>> in_sentence("stt"), in_sentence("llm")
    ('speech', 'the LLM')
    """
    name = service_name(service)
    return f"the {name}" if name.isupper() else name


def traffic_in_words(context: StudyContext) -> str:
    """Say what is sent to the servers in every launch."""
    w = context.workload
    return (
        f"{w.window_s:g} s, the same in every launch (seed {w.seed}): "
        f"{w.llm_per_s:g} LLM requests a second in bursts of {w.llm_burst}, "
        f"{w.prompt_tokens[0]} to {w.prompt_tokens[1]} tokens in, {w.output_tokens} out; "
        f"{w.stt_per_s:g} spoken clips a second"
    )


def limits_in_words(context: StudyContext) -> str:
    """Say the p95 limits of the capacity ladder."""
    slo = context.slo
    if slo is None:
        is_replay = context.is_replay
        return "not recorded" if is_replay else "not fixed yet: they follow from the baseline"
    first, *others = (service for service in apis_of(context) if service in slo.p95_ms)
    limits = [f"95 % of the {service_name(first)} replies within {slo.p95_ms[first]:,.0f} ms"]
    limits += [f"of {in_sentence(s)}'s within {slo.p95_ms[s]:,.0f} ms" for s in others]
    return " and ".join(limits)
