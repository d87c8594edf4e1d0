"""Version 0.1 named some figures and phases otherwise; its files are read under today's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIGURES_OF_0_1 = {  # flat names that did not begin with their service
    "interference_stt": "stt_interference",
    "interference_llm": "llm_interference",
    "offered_stt": "stt_offered",
    "offered_llm": "llm_offered",
    "kv_peak_pct": "llm_kv_peak_pct",
    "kv_tokens": "llm_kv_tokens",
    "kv_cache_mib": "llm_kv_cache_mib",
    "max_model_len": "llm_max_model_len",
    "preemptions": "llm_preemptions",
    "word_errors": "stt_word_errors",
}
PHASES_OF_0_1 = {
    "starting speech": "starting stt",
    "starting LLM": "starting llm",
    "ladder": "ramp",
}


CAPACITY_OF_0_1 = (  # in sessions, from a ladder: another quantity than today's
    "concurrent_capacity",
    "capacity_is_lower_bound",
    "capacity_bound_by",
    "turn_ttft_ms",
    "turn_ttft_p95_ms",
)
LADDER = ("ladder_", "session_")  # how 0.1 named the keys of a workload that make its ladder


def without_capacity_of_0_1(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures without what a ladder measured; the rungs themselves stay.

    >>> without_capacity_of_0_1({"concurrent_capacity": 8, "capacity_is_lower_bound": True})
    {}
    """
    is_of_0_1 = "capacity_is_lower_bound" in figures or figures.get("ladder")
    return {k: v for k, v in figures.items() if not (is_of_0_1 and k in CAPACITY_OF_0_1)}


def current_workload(workload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a workload without the ladder of 0.1: it has no ramp.

    >>> current_workload({"seed": 1, "ladder_s": 30.0, "session_pause_s": 0.5})
    {'seed': 1, 'ramp_s': 0.0}
    """
    return {k: v for k, v in workload.items() if not k.startswith(LADDER)} | {"ramp_s": 0.0}


def current_conditions(conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions of a study under today's names; one of 0.1 knew no `limits`.

    >>> current_conditions({"slo": {}, "workload": {"ladder_s": 30.0}, "measure": "live"})
    {'workload': {'ramp_s': 0.0}, 'measure': 'live', 'limits': None}
    """
    if "slo" not in conditions:
        return dict(conditions)
    rest = {k: v for k, v in conditions.items() if k != "slo"}
    return rest | {"workload": current_workload(conditions["workload"]), "limits": None}


def current_name(name: str) -> str:
    """Return today's flat name of a figure."""
    return FIGURES_OF_0_1.get(name, name)


def current_names(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return flat figures under today's names, also those of phases.

    >>> current_names({"kv_tokens": 4096, "stt_start_s": 3.5})
    {'llm_kv_tokens': 4096, 'stt_start_s': 3.5}
    """
    renamed = {current_name(name): value for name, value in figures.items()}
    if isinstance(renamed.get("phase_s"), Mapping):
        renamed["phase_s"] = {PHASES_OF_0_1.get(p, p): s for p, s in renamed["phase_s"].items()}
    return renamed
