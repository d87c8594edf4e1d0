"""A symptom without a word in any log is named here, by the service that showed it.

One of a turn is known by its API; whatever is beside it has names of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Names:
    """The names give the failure class of each symptom of a service.

    Args:
        out_of_memory: It ran out of memory under load.
        elsewhere: It answers, but holds no memory of the device that it was to use.
        crashed: It answers 5xx.
        broken: It hangs up.
        way_out: What to do where it refuses a request with 4xx; None where that is `broken` too.
    """

    out_of_memory: str
    elsewhere: str
    crashed: str
    broken: str
    way_out: str | None = None


WITH_A_SHARE = Names(
    "oom_runtime_llm",
    "llm_cpu_offload",
    "engine_death",
    "engine_death",
    "shorten `workload.prompt_tokens`",
)
WRONG_ANSWER = "wrong_answer"  # of any API: it is empty, or not what the API promises
BESIDE = "beside"  # in place of an API: the service is none of a turn's usual ones
OF_OTHERS = Names(
    "oom_runtime",
    "cpu_fallback",
    "engine_death",
    "engine_death",
    "send fewer `texts`, or shorter `tokens`, to that service",
)
# with no word on why a 5xx, speech recognition counts it as memory
SYMPTOMS: Mapping[str, Names] = {
    "completions": WITH_A_SHARE,
    "transcription": Names(
        "oom_runtime_stt", "stt_cpu_fallback", crashed="oom_runtime_stt", broken="stt_wrong"
    ),
    BESIDE: OF_OTHERS,
}


def names_of(api: str | None) -> Names:
    """Return the names of an API's symptoms; those of a server with a share where it has none.

    >>> names_of(BESIDE).out_of_memory, names_of("completions").out_of_memory
    ('oom_runtime', 'oom_runtime_llm')
    """
    return SYMPTOMS.get(api or "", WITH_A_SHARE)
