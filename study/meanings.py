"""Plain words for what a study writes down: failure classes, gates and figures. Pure."""

from __future__ import annotations

from collections.abc import Mapping

OUT_OF_MEMORY = "out of memory"
FAILURES: Mapping[str, tuple[str, str]] = {  # class: in two words, in a sentence
    "predicted_oom": (
        OUT_OF_MEMORY,
        "the arithmetic rules it out: both servers together need more than the device has",
    ),
    "predicted_kv_too_small": ("too little cache", "the arithmetic rules it out: no room for one longest request"),
    "oom_budget": (OUT_OF_MEMORY, "the device has not the share that the LLM server asks for"),
    "kv_too_small": ("too little cache", "what is left for the KV cache cannot hold one longest request"),
    "oom_startup": (OUT_OF_MEMORY, "a server ran out of memory before it was ready"),
    "oom_runtime_llm": (OUT_OF_MEMORY, "the LLM server ran out of memory under load"),
    "oom_runtime_stt": (OUT_OF_MEMORY, "the speech server ran out of memory under load"),
    "stt_cpu_fallback": ("not on the device", "the speech server did not run on the device that was asked for"),
    "llm_cpu_offload": ("not on the device", "part of the LLM did not run on the device that was asked for"),
    "startup_timeout": ("not ready in time", "a server was not ready in time, twice"),
    "host_oom": ("host out of memory", "the host's out-of-memory killer ended a server, twice"),
    "engine_death": ("ended by itself", "a server ended for no reason of memory, twice"),
    "killed_unknown": ("killed", "a server was killed from outside, twice"),
    "stt_wrong": ("answered wrongly", "the speech server answered with errors, twice"),
    "gpu_fault": ("device fault", "the device reported a fault, twice"),
    "contaminated": ("disturbed", "another process took or freed memory while the server looked at it"),
    "foreign_tenant": ("disturbed", "another process held memory that was free before the study"),
    "gpu_hardware": ("hardware", "the device reported a hardware error"),
    "setup_error": ("set-up", "a library, a flag, a port or a driver"),
}
SERVICES: Mapping[str | None, str] = {"llm": "LLM server", "stt": "speech server", "host": "host", None: "-"}
WORD_GATES: Mapping[str | None, str] = {
    "pass": "as good as the baseline's, within the gate",
    "fail": "worse than the baseline's by more than the gate",
    "cannot_tell": "the clips are too few to tell",
    "not_measured": "not measured",
    None: "not measured",
}
CONSTRAINTS: Mapping[str, str] = {
    "memory": "it runs out of memory",
    "latency_is_finite": "more than 5 % of the requests failed",
    "free_memory": "less memory stays free than the gate asks",
    "word_error_rate": "its words are worse than the gate allows",
}
# name of `Measurement`: title for people, unit, digits
FIGURES: Mapping[str, tuple[str, str, int]] = {
    "stt_latency_p95_ms": ("speech: 95 % answered within", "ms", 0),
    "llm_latency_p95_ms": ("LLM: 95 % answered within", "ms", 0),
    "llm_ttft_p95_ms": ("LLM: 95 % begin to answer within", "ms", 0),
    "llm_tpot_ms": ("LLM: each further token, median", "ms", 1),
    "turn_ttft_p95_ms": ("voice turn at the most sessions passed: 95 % within", "ms", 0),
    "concurrent_capacity": ("voice sessions at once", "", 0),
    "stt_wer_pct": ("words wrong", "%", 1),
    "failure_rate": ("requests that failed, as a share", "", 2),
    "free_memory_mib": ("memory that stayed free", "MiB", 0),
    "kv_peak_pct": ("highest use of the LLM's KV cache", "%", 0),
}
LATENCIES = (  # by which a winner is compared and judged, in this order
    "stt_latency_ms",
    "stt_latency_p95_ms",
    "llm_latency_ms",
    "llm_latency_p95_ms",
    "llm_ttft_ms",
    "llm_ttft_p95_ms",
    "llm_tpot_ms",
    "turn_ttft_ms",
)
# name of `Measurement`, or fitness: which way is better
DIRECTIONS: Mapping[str, str] = {
    **dict.fromkeys((*LATENCIES, "turn_ttft_p95_ms", "stt_wer_pct", "failure_rate"), "down"),
    **dict.fromkeys(("concurrent_capacity", "free_memory_mib", "fitness"), "up"),
    **dict.fromkeys(("gpu_utilization_pct", "kv_peak_pct"), "neutral"),
}


def failure_in_words(failure_class: str) -> str:
    """A failure class in two words; the class itself where this version does not know it.

    >>> in_words("oom_startup"), in_words("new_class")
    ('out of memory', 'new_class')
    """
    return FAILURES.get(failure_class, (failure_class, ""))[0]
