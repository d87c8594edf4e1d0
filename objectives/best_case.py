"""The best case fills a measurement under way with the best that each missing figure can be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from objectives.measurement import INFINITE, Measurement, ServiceFigures

BEST_USE_PCT = 70.0  # of memory: the efficiency is 1
EVERYBODY = 10**9  # sessions


def at_best(measured: Measurement, services: Iterable[str]) -> Measurement:
    """Return a measurement under way with every figure of the fitness that it lacks at its best.

    So no fitness of the whole measurement can be above the one of this.

    Args:
        measured: What is known by now; a figure that can still get better is left out of it.
        services: The names of all services.

    >>> m = at_best(Measurement.from_flat({"stt_latency_p95_ms": 700.0}), ("stt", "llm"))
    >>> m.figure("stt_latency_p95_ms"), m.figure("llm_latency_p95_ms"), m.capacity_or_0
    (700.0, 0.0, inf)
    """
    known = {name: measured.services.get(name, ServiceFigures()) for name in services}
    device = measured.device
    total_mib = INFINITE if device.device_total_mib is None else device.device_total_mib
    whole = replace(
        device,
        free_memory_mib=_or(device.free_memory_mib, total_mib),
        own_memory_pct=_or(device.own_memory_pct, BEST_USE_PCT),
        gpu_utilization_pct=_or(device.gpu_utilization_pct, BEST_USE_PCT),
    )
    if measured.capacity_or_0 is None:
        measured = replace(measured, capacity_turns_per_s=INFINITE, concurrent_capacity=EVERYBODY)
    return replace(
        measured,
        services={
            name: replace(
                figures,
                latency_ms=_or(figures.latency_ms, 0.0),
                latency_p95_ms=_or(figures.latency_p95_ms, 0.0),
            )
            for name, figures in known.items()
        },
        devices={measured.measured_on or "": whole},
        failure_rate=_or(measured.failure_rate, 0.0),
    )


def _or(value: float | None, best: float) -> float:
    return best if value is None else value
