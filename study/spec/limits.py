"""What a spec may ask for: the range of each number by its key, and the direction of each metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from objectives.figures import LATENCIES
from study.spec.yaml_node import Entry

JUDGED = (  # word errors, failed requests and free memory have limits of their own
    *LATENCIES,
    "turn_ttft_p95_ms",
    "concurrent_capacity",
    "fitness",
)
LEAST_PCT, MOST_PCT = 0.1, 1000.0

# fmt: off
DIRECTIONS = {
    **dict.fromkeys(("concurrent_capacity", "kv_capacity_bound", "stt_rtfx", "free_memory_mib"), "up"),
    **dict.fromkeys((
        "stt_latency_ms", "stt_latency_p95_ms", "stt_wer_pct", "llm_latency_ms", "llm_latency_p95_ms",
        "llm_ttft_ms", "llm_ttft_p95_ms", "llm_tpot_ms", "turn_ttft_ms", "turn_ttft_p95_ms", "failure_rate",
        "oom_events",
    ), "down"),
}
LIMITS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("wallclock_sec", "start_timeout_s", "request_timeout_s", "window_s"), (1, 1e7)),
    **dict.fromkeys(("ladder_s", "session_pause_s", "session_ramp_s"), (0, 1e5)),
    **dict.fromkeys(("max_candidates", "max_generations", "population_size", "n_offspring", "llm_burst"), (1, 10_000)),
    **dict.fromkeys(("tournament_size", "survivors", "ladder_max_sessions", "beam_size"), (1, 10_000)),
    **dict.fromkeys(("elitism", "fresh_inject", "alone_requests"), (0, 10_000)),
    **dict.fromkeys(("llm_per_s", "stt_per_s"), (0, 1000)),
    **dict.fromkeys(("output_tokens", "prompt_tokens", "session_prompt_tokens", "vocabulary"), (1, 1e7)),
    **dict.fromkeys(("free_memory_mib", "reserve_mib", "extra_mib", "headroom_mib"), (0, 1e7)),
    **dict.fromkeys(("stt", "llm", "capacity", "stability", "efficiency"), (0, 1e6)),
    **dict.fromkeys(("stt_p95_ms", "llm_p95_ms"), (1, 1e7)),
    **dict.fromkeys(JUDGED, (LEAST_PCT, MOST_PCT)),  # of `margins`
    "session_turn_tokens": (0, 1e7), "seed": (0, 2**31 - 1), "multiple": (1, 1000),
    "fixed_output_tokens": (4, 224), "wer_points": (0, 100), "mib": (1, 1e7), "share": (0.001, 0.999),
}
# fmt: on


def check_metrics(top: Entry) -> list[str]:
    """Directions that contradict ours are refused; the rest of `metrics` is ignored."""
    if "metrics" not in top.items():
        return []
    metrics = top.at("metrics").items()
    directions = metrics["target_direction"].items() if "target_direction" in metrics else {}
    for name, entry in directions.items():
        asked = entry.build(Literal["up", "down", "neutral"], LIMITS)
        if (ours := DIRECTIONS.get(name)) and asked not in (ours, "neutral"):
            verb = "maximises" if ours == "up" else "minimises"
            raise entry.wrong(
                f"{asked} contradicts this project, which {verb} {name}",
                f"write {ours} or remove it",
            )
    return [f"metrics.{k}" for k in metrics if k != "target_direction"]
