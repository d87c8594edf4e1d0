"""A symptom without a word in any log is named here, by the service that showed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """The names give the failure class of each symptom of a service.

    Args:
        elsewhere: It answers, but holds no memory of the device that it was to use.
        crashed: It answers 5xx.
        broken: It hangs up, or its answers are not what the API promises.
        way_out: What to do where it refuses a request with 4xx; None where that is `broken` too.
    """

    elsewhere: str
    crashed: str
    broken: str
    way_out: str | None = None


LLM = Names(
    "llm_cpu_offload",
    "engine_death",
    "engine_death",
    "shorten `workload.prompt_tokens`",
)
# with no word on why a 5xx, speech recognition counts it as memory
SYMPTOMS: Mapping[str, Names] = {
    "llm": LLM,
    "stt": Names("stt_cpu_fallback", "oom_runtime_stt", "stt_wrong"),
}


def names_of(service: str | None) -> Names:
    """Return the names of a service's symptoms; an LLM's where it has none of its own."""
    return SYMPTOMS.get(service or "", LLM)
