"""One number for one measurement: five terms in 0..1, weighed, relative to the allocation in use today."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Annotated, Literal

from objectives.measurement import Measurement
from objectives.plain_data.ranges import Range

Preset = Literal["balanced", "latency", "capacity", "quality"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights of the five terms; they are divided by their sum."""

    stt: Annotated[float, Range(0, 1e6)] = 0.25
    llm: Annotated[float, Range(0, 1e6)] = 0.25
    capacity: Annotated[float, Range(0, 1e6)] = 0.20
    stability: Annotated[float, Range(0, 1e6)] = 0.20
    efficiency: Annotated[float, Range(0, 1e6)] = 0.10


PRESETS: dict[Preset, Weights] = {
    "balanced": Weights(),
    "latency": Weights(stt=0.35, llm=0.35, capacity=0.10, stability=0.15, efficiency=0.05),
    "capacity": Weights(stt=0.15, llm=0.15, capacity=0.45, stability=0.20, efficiency=0.05),
    "quality": Weights(stt=0.30, llm=0.20, capacity=0.10, stability=0.35, efficiency=0.05),
}


@dataclass(frozen=True, slots=True)
class Reference:
    """What terms are relative to: the baseline's own figures (ms, ms, sessions)."""

    stt_latency_p95_ms: float
    llm_latency_p95_ms: float
    concurrent_capacity: int | None


@dataclass(frozen=True, slots=True)
class Fitness:
    """The value in 0..1 and what each term contributed to it; a term that was not measured is None."""

    value: float
    stt: float
    llm: float
    capacity: float | None
    stability: float
    efficiency: float | None

    def contributions(self) -> dict[str, float | None]:
        """Each term's part of the value, by name."""
        return {k: v for k, v in asdict(self).items() if k != "value"}


def reference_of(baseline: Measurement) -> Reference | None:
    """The reference that a measurement gives; None where its latencies are not finite."""
    if baseline.stt_latency_p95_ms is None or baseline.llm_latency_p95_ms is None:
        return None
    if max(baseline.stt_latency_p95_ms, baseline.llm_latency_p95_ms) == float("inf"):
        return None
    return Reference(
        baseline.stt_latency_p95_ms, baseline.llm_latency_p95_ms, baseline.concurrent_capacity
    )


def latency_term(value_ms: float | None, reference_ms: float) -> float:
    """1 at no latency, one half at the reference's, 0 when it is infinite or not known.

    >>> latency_term(600, reference_ms=600), latency_term(float("inf"), reference_ms=600)
    (0.5, 0.0)
    """
    if value_ms is None or value_ms == float("inf"):
        return 0.0
    return reference_ms / (reference_ms + value_ms)


def capacity_term(sessions: int | None, reference: int | None, top_rung: int) -> float | None:
    """One half at the reference's capacity; `x / top rung` where the reference's is 0; None if not measured.

    >>> capacity_term(8, reference=8, top_rung=64), capacity_term(16, reference=0, top_rung=64)
    (0.5, 0.25)
    """
    if sessions is None or reference is None:
        return None
    if reference == 0:
        return min(1.0, sessions / top_rung)
    return sessions / (sessions + reference)


def _efficiency(used_pct: float | None) -> float | None:
    return None if used_pct is None else max(0.0, 1.0 - abs(used_pct - 70.0) / 70.0)


def fitness(
    measured: Measurement,
    reference: Reference,
    weights: Weights,
    *,
    headroom_mib: float,
    top_rung: int,
) -> Fitness:
    """measurement.md section 5: p95 latencies, capacity, stability and efficiency against the reference.

    headroom_mib: free memory that counts as safe. A term that the reference lacks (capacity, where no rung
    ended in time) is left out for the whole study; one that only this trial lacks counts as 0.
    """
    free = measured.free_memory_mib
    safe = (
        0.0
        if free is None
        else min(1.0, max(0.0, free) / headroom_mib)
        if headroom_mib > 0
        else 1.0
    )
    terms: dict[str, float | None] = {
        "stt": latency_term(measured.stt_latency_p95_ms, reference.stt_latency_p95_ms),
        "llm": latency_term(measured.llm_latency_p95_ms, reference.llm_latency_p95_ms),
        "capacity": capacity_term(
            measured.concurrent_capacity, reference.concurrent_capacity, top_rung
        ),
        "stability": (1.0 - (measured.failure_rate or 0.0)) * safe,
        "efficiency": _efficiency(measured.own_memory_pct),
    }
    used = {f.name: float(getattr(weights, f.name)) for f in fields(weights)}
    if reference.concurrent_capacity is None:
        del used["capacity"]
    total = sum(used.values())
    parts = {k: (terms[k] or 0.0) * w / total for k, w in used.items()}
    return _fitness(parts, terms)


def fixed_fitness(measured: Measurement, weights: Weights) -> Fitness:
    """The older, absolute normalisation: medians, 500 ms, 1,000 ms, 20 requests, 50 points of utilisation.

    >>> from objectives.measurement import Measurement
    >>> m = Measurement(stt_latency_ms=999, llm_latency_ms=999, concurrent_capacity=5, gpu_utilization_pct=90.4)
    >>> round(fixed_fitness(m, Weights()).value, 3)
    0.309
    """

    def capped(value: float | None, cap: float) -> float:
        return 0.0 if value is None else max(0.0, 1.0 - value / cap)

    used = measured.gpu_utilization_pct
    terms: dict[str, float | None] = {
        "stt": capped(measured.stt_latency_ms, 500.0),
        "llm": capped(measured.llm_latency_ms, 1000.0),
        "capacity": None
        if measured.concurrent_capacity is None
        else min(1.0, measured.concurrent_capacity / 20),
        "stability": 1.0,
        "efficiency": None if used is None else max(0.0, 1.0 - abs(used - 70.0) / 50.0),
    }
    total = sum(float(getattr(weights, f.name)) for f in fields(weights))
    parts = {k: (v or 0.0) * float(getattr(weights, k)) / total for k, v in terms.items()}
    return _fitness(parts, terms)


def _fitness(parts: dict[str, float], terms: dict[str, float | None]) -> Fitness:
    shown = {k: None if terms[k] is None else round(parts.get(k, 0.0), 6) for k in terms}
    return Fitness(
        value=round(sum(parts.values()), 6),
        stt=shown["stt"] or 0.0,
        llm=shown["llm"] or 0.0,
        capacity=shown["capacity"],
        stability=shown["stability"] or 0.0,
        efficiency=shown["efficiency"],
    )
