"""The fitness is one number for one measurement: five weighed terms, relative to the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from objectives.figures import flat_name
from objectives.measurement import INFINITE, Measurement

Preset = Literal["balanced", "latency", "capacity", "quality"]


Weights = Mapping[str, float]  # by term: each service, and those of WHOLE; their sum divides them
WHOLE = ("capacity", "stability", "efficiency")  # terms of the whole; the others are services


def _voice(stt: float, llm: float, *whole: float) -> Weights:
    return {"stt": stt, "llm": llm, **dict(zip(WHOLE, whole, strict=True))}


PRESETS: Mapping[Preset, Weights] = {
    "balanced": _voice(0.25, 0.25, 0.20, 0.20, 0.10),
    "latency": _voice(0.35, 0.35, 0.10, 0.15, 0.05),
    "capacity": _voice(0.15, 0.15, 0.45, 0.20, 0.05),
    "quality": _voice(0.30, 0.20, 0.10, 0.35, 0.05),
}
# of the presets' services: the medians at which the older normalisation gives nothing
FIXED_MS = {"stt": 500.0, "llm": 1000.0}
UNKNOWN_MS = 1.0  # a reference that is not finite: what is slower counts next to nothing


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference holds the baseline's own figures, which the terms are relative to.

    Args:
        latency_p95_ms: The p95 latencies by service, finite, ms.
        capacity_turns_per_s: The capacity; 0 where no rate is good, None where it was not
            measured.
    """

    latency_p95_ms: Mapping[str, float]
    capacity_turns_per_s: float | None


@dataclass(frozen=True, slots=True)
class Fitness:
    """A fitness is a value in 0..1, with what each term contributed to it.

    Args:
        value: The weighed sum of the terms.
        contributions: The parts of that sum by term; None for a term that was not measured.
    """

    value: float
    contributions: Mapping[str, float | None]


def reference_of(baseline: Measurement) -> Reference | None:
    """Return the reference that a measurement gives; None where its latencies are not finite."""
    finite = {
        name: service.latency_p95_ms
        for name, service in baseline.services.items()
        if service.latency_p95_ms is not None and service.latency_p95_ms != INFINITE
    }
    if not finite or len(finite) < len(baseline.services):
        return None
    return Reference(finite, baseline.capacity_or_0)


def latency_term(value_ms: float | None, reference_ms: float) -> float:
    """Return 1 at no latency, one half at the reference's, 0 when it is infinite or not known.

    >>> latency_term(600, reference_ms=600), latency_term(float("inf"), reference_ms=600)
    (0.5, 0.0)
    """
    if value_ms is None or value_ms == INFINITE:
        return 0.0
    return reference_ms / (reference_ms + value_ms)


def capacity_term(capacity_per_s: float | None, reference_per_s: float | None) -> float | None:
    """Return one half at the reference's capacity; None where a capacity was not measured.

    Where no rate is good, it is 0.

    >>> capacity_term(4.0, reference_per_s=4.0), capacity_term(0.0, reference_per_s=0.0)
    (0.5, 0.0)
    """
    if capacity_per_s is None or reference_per_s is None:
        return None
    if capacity_per_s == INFINITE:  # the best that one under way can be
        return 1.0
    return capacity_per_s / (capacity_per_s + reference_per_s) if capacity_per_s else 0.0


def _efficiency(used_pct: float | None) -> float | None:
    return None if used_pct is None else max(0.0, 1.0 - abs(used_pct - 70.0) / 70.0)


def fitness(
    measured: Measurement,
    reference: Reference,
    weights: Weights,
    *,
    headroom_mib: float,
) -> Fitness:
    """Return p95 latencies, capacity, stability and efficiency against the reference, weighed.

    A term that the reference lacks (capacity, where no ramp was measured) is left out for the
    whole study; one that only this trial lacks counts as 0.

    Args:
        measured: The measurement to value.
        reference: The figures of the baseline.
        weights: The weights of the terms.
        headroom_mib: The free memory that counts as safe, MiB.
    """
    device, services = measured.device, measured.services
    free = device.free_memory_mib
    safe = (
        0.0
        if free is None
        else min(1.0, max(0.0, free) / headroom_mib)
        if headroom_mib > 0
        else 1.0
    )
    used = dict(weights)
    terms: dict[str, float | None] = {
        service: latency_term(
            services[service].latency_p95_ms if service in services else None,
            reference.latency_p95_ms.get(service, UNKNOWN_MS),
        )
        for service in used
        if service not in WHOLE
    }
    terms["capacity"] = capacity_term(measured.capacity_or_0, reference.capacity_turns_per_s)
    terms["stability"] = (1.0 - (measured.failure_rate or 0.0)) * safe
    terms["efficiency"] = _efficiency(device.own_memory_pct)
    if reference.capacity_turns_per_s is None:
        del used["capacity"]
    total = sum(used.values())
    parts = {k: (terms[k] or 0.0) * w / total for k, w in used.items()}
    return _fitness(parts, terms)


def fixed_fitness(measured: Measurement, weights: Weights) -> Fitness:
    """Return the fitness by the older, absolute normalisation.

    It takes medians, and gives nothing at 500 ms for speech, 1,000 ms for the LLM, or 50 points
    off 70 % of utilisation; 20 sessions are full capacity.

    >>> from objectives.measurement import Measurement
    >>> m = Measurement.from_flat({
    ...     "stt_latency_ms": 999, "llm_latency_ms": 999, "concurrent_capacity": 5,
    ...     "gpu_utilization_pct": 90.4,
    ... })
    >>> round(fixed_fitness(m, PRESETS["balanced"]).value, 3)
    0.309
    """

    def capped(value: float | None, cap: float) -> float:
        return 0.0 if value is None else max(0.0, 1.0 - value / cap)

    used = measured.device.gpu_utilization_pct
    sessions = 0 if measured.capacity_or_0 == 0 else measured.concurrent_capacity
    terms: dict[str, float | None] = {
        service: capped(measured.figure(flat_name(service, "latency_ms")), cap_ms)
        for service, cap_ms in FIXED_MS.items()
    }
    terms["capacity"] = None if sessions is None else min(1.0, sessions / 20)
    terms["stability"] = 1.0
    terms["efficiency"] = None if used is None else max(0.0, 1.0 - abs(used - 70.0) / 50.0)
    total = sum(weights.values())
    parts = {k: (v or 0.0) * weights[k] / total for k, v in terms.items()}
    return _fitness(parts, terms)


def _fitness(parts: dict[str, float], terms: dict[str, float | None]) -> Fitness:
    contributions = {k: None if terms[k] is None else round(parts.get(k, 0.0), 6) for k in terms}
    return Fitness(round(sum(parts.values()), 6), contributions)
