"""This module puts in words what failed, or was not good enough; pure."""

from __future__ import annotations

from collections.abc import Mapping

from objectives.diagnosis.victim import Victim, VictimKind
from objectives.figures import service_name
from objectives.speech.wer import WordVerdict

OUT_OF_MEMORY = "out of memory"
NO_GOOD_RATE = "no good rate"  # in place of a capacity: at none were 95 % of the turns good
FAILURES: Mapping[str, tuple[str, str]] = {  # class: in two words, in a sentence
    "predicted_oom": (
        OUT_OF_MEMORY,
        "the arithmetic rules it out: the servers together need more than the device has",
    ),
    "predicted_kv_too_small": (
        "too little cache",
        "the arithmetic rules it out: no room for one longest request",
    ),
    "oom_budget": (OUT_OF_MEMORY, "the device has not the share that the LLM server asks for"),
    "kv_too_small": (
        "too little cache",
        "what is left for the KV cache cannot hold one longest request",
    ),
    "oom_startup": (OUT_OF_MEMORY, "a server ran out of memory before it was ready"),
    "oom_runtime_llm": (OUT_OF_MEMORY, "the LLM server ran out of memory under load"),
    "oom_runtime_stt": (OUT_OF_MEMORY, "the speech server ran out of memory under load"),
    "oom_runtime": (OUT_OF_MEMORY, "a service beside them ran out of memory under load"),
    "cpu_fallback": (
        "not on the device",
        "a service beside them did not run on the device that was asked for",
    ),
    "stt_cpu_fallback": (
        "not on the device",
        "the speech server did not run on the device that was asked for",
    ),
    "llm_cpu_offload": (
        "not on the device",
        "part of the LLM did not run on the device that was asked for",
    ),
    "startup_timeout": ("not ready in time", "a server was not ready in time, twice"),
    "host_oom": ("host out of memory", "the host's out-of-memory killer ended a server, twice"),
    "engine_death": (
        "ended by itself",
        "a server ended, hung up or failed for no reason of memory, twice",
    ),
    "killed_unknown": ("killed", "a server was killed from outside, twice"),
    "stt_wrong": ("hung up", "the speech server hung up, or answered with errors, twice"),
    "wrong_answer": (
        "answered wrongly",
        "a server's answer was empty, or not what its API promises, twice",
    ),
    "gpu_fault": ("device fault", "the device reported a fault, twice"),
    "overdue": ("not over in time", "it took longer than all its parts may, twice"),
    "late_requests": ("left late", "our own requests left late, again and again"),
    "contaminated": (
        "disturbed",
        "another process took or freed memory while the server looked at it",
    ),
    "foreign_tenant": ("disturbed", "another process held memory that was free before the study"),
    "gpu_hardware": ("hardware", "the device reported a hardware error"),
    "setup_error": ("set-up", "a library, a flag, a port or a driver"),
}
WORD_GATES: Mapping[WordVerdict | None, str] = {
    WordVerdict.PASS: "as good as the baseline's, within the gate",
    WordVerdict.FAIL: "worse than the baseline's by more than the gate",
    WordVerdict.CANNOT_TELL: "the clips are too few to tell",
    WordVerdict.NOT_MEASURED: "not measured",
    None: "not measured",
}
CONSTRAINTS: Mapping[str, str] = {
    "memory": "it runs out of memory",
    "latency_is_finite": "more than 5 % of the requests failed",
    "free_memory": "less memory stays free than the gate asks",
    "word_error_rate": "its words are worse than the gate allows",
}


def failure_in_words(failure_class: str) -> str:
    """Return a failure class in two words; the class itself where this version does not know it.

    >>> failure_in_words("oom_startup"), failure_in_words("new_class")
    ('out of memory', 'new_class')
    """
    return FAILURES.get(failure_class, (failure_class, ""))[0]


def server_in_words(service: str) -> str:
    """Return what people call the server of a service.

    >>> server_in_words("stt"), server_in_words("embed")
    ('speech server', 'embed server')
    """
    return f"{service_name(service)} server"


def victim_in_words(victim: Victim | None) -> str:
    """Return what people call whom a failure befell.

    >>> victim_in_words(Victim.of("stt")), victim_in_words(Victim.of("tenant:game"))
    ('speech server', 'tenant:game')
    """
    if victim is None:
        return "-"
    is_service = victim.kind is VictimKind.SERVICE
    return server_in_words(victim.name) if is_service else str(victim)
