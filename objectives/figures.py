"""Every figure of a measurement: its title, unit, digits and which way is better. Pure."""

from __future__ import annotations

from collections.abc import Mapping

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
