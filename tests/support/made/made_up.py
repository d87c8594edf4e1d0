"""This module makes up what launches measure, without what a study imports: lanes import it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.measurement import Measurement
from objectives.speech.wer import WordErrors

TOTAL_MIB = 12_000.0
Outcome = Measurement | Diagnosis
Cell = Callable[[float, str], Outcome]


def words(errors: int, clips: int = 24, spoken: int = 20) -> tuple[WordErrors, ...]:
    """Return word errors of clips of 20 words, one in each of the first clips."""
    return tuple(WordErrors(int(n < errors), spoken) for n in range(clips))


def measurement(**figures: Any) -> Measurement:
    """Return a complete measurement; every figure can be replaced."""
    usual: dict[str, Any] = {
        "stt_latency_ms": 400.0,
        "stt_latency_p95_ms": 800.0,
        "llm_latency_ms": 1500.0,
        "llm_latency_p95_ms": 2500.0,
        "llm_ttft_ms": 200.0,
        "llm_ttft_p95_ms": 300.0,
        "llm_tpot_ms": 10.0,
        "llm_tpot_p95_ms": 12.0,
        "capacity_turns_per_s": 8,
        "gpu_utilization_pct": 80.0,
        "own_memory_pct": 70.0,
        "free_memory_mib": 2000.0,
        "failure_rate": 0.0,
        "device_total_mib": TOTAL_MIB,
        "stt_wer_pct": 0.8,
        "word_errors": words(4),
        "wall_s": 90.0,
        "llm_memory_mib": 6000.0,
        "stt_memory_mib": 500.0,
    }
    return only(**usual | figures)


def only(**figures: Any) -> Measurement:
    """Return a measurement of these figures, by flat name."""
    return Measurement.from_flat(figures)


def changed(measured: Measurement, **figures: Any) -> Measurement:
    """Return the same measurement with other figures, by flat name."""
    names = (*measured.flat(), "used_mib_by_s", "ramp", "ladder")
    old = {name: measured.figure(name) for name in names}
    return Measurement.from_flat({**old, "word_errors": measured.words.get("stt", ()), **figures})


def oom(deficit_mib: float | None = 600.0) -> Diagnosis:
    """Return a diagnosis: out of memory at the start of the LLM server."""
    return Diagnosis(
        "oom_budget",
        "llm",
        FailurePhase.START,
        deficit_mib,
        "Free memory is less than desired memory utilization",
    )


def cell(share: float, size: str) -> Outcome:
    """Return an outcome between two walls: slower at small shares, out of memory at 0.60."""
    if share > 0.57:
        return oom(600.0 if size == "tiny" else 900.0)
    tiny = size == "tiny"
    return measurement(
        stt_latency_p95_ms=600.0 if tiny else 800.0,
        llm_latency_p95_ms=2500.0 - 10_000 * (share - 0.5),
        capacity_turns_per_s=round(8 + 80 * (share - 0.5)),
        word_errors=words(6 if tiny else 4),
        stt_wer_pct=1.25 if tiny else 0.83,
        stt_memory_mib=300.0 if tiny else 500.0,
    )


def heard_cell(share: float, size: str) -> Outcome:
    """Return the same outcome where both speech models hear alike, so that all may be promoted."""
    outcome = cell(share, size)
    return outcome if isinstance(outcome, Diagnosis) else changed(outcome, word_errors=words(4))


def slower(measured: Measurement, times: float) -> Measurement:
    """Return what a card measures that takes so many times as long."""
    services = {
        name: replace(own, latency_p95_ms=(own.latency_p95_ms or 0.0) * times)
        for name, own in measured.services.items()
    }
    turns_per_s = measured.capacity_turns_per_s
    capacity = None if turns_per_s is None else turns_per_s / times
    return replace(measured, services=services, capacity_turns_per_s=capacity)
