"""Each segment of a window has its own figures; at its end the rest is at best what it can be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from objectives.load.figures_of_replies import summarise
from objectives.load.open_loop import WindowProgress
from objectives.load.replies import Reply
from objectives.measurement import INFINITE, Measurement, ServiceFigures

NOT_OF_SERVERS = ("generator_lag_p99_ms", "failure_rate")
BEST_USE_PCT = 70.0  # of memory: the efficiency is 1
EVERYBODY = 10**9  # sessions
ONLY_WORSE = ("device_total_mib", "free_memory_mib")  # other figures of a device may recover


def segment_figures(
    replies: Sequence[Reply], start_s: float, ends_s: Sequence[float]
) -> tuple[Mapping[str, float], ...]:
    """Return the figures of each segment by flat name, without those that it does not have.

    A request belongs to the segment in which it is due, and all of a turn to that of its first.

    Args:
        replies: What became of the requests of these segments.
        start_s: The start of the window on the clock of the replies, seconds.
        ends_s: When each of the segments ends, seconds from there.
    """
    begins: dict[int, float] = {}
    for r in replies:
        if r.turn is not None:
            begins[r.turn] = min(r.scheduled_s, begins.get(r.turn, math.inf))
    due = [(r.scheduled_s if r.turn is None else begins[r.turn]) - start_s for r in replies]
    begins_s, ends_s = (-math.inf, *ends_s[:-1]), (*ends_s[:-1], math.inf)
    return tuple(
        _figures([r for r, at_s in zip(replies, due, strict=True) if begin_s <= at_s < end_s])
        for begin_s, end_s in zip(begins_s, ends_s, strict=True)
    )


def _figures(replies: Sequence[Reply]) -> dict[str, float]:
    return {
        name: value
        for name, value in summarise(replies).items()
        if isinstance(value, float) and name not in NOT_OF_SERVERS
    }


def so_far(
    measured: Mapping[str, Any], progress: WindowProgress, devices: Sequence[Mapping[str, Any]]
) -> Measurement:
    """Return what a launch has measured so far, its window as good as it can still be.

    Args:
        measured: The figures from before the window, by flat name.
        progress: The window at the end of a segment.
        devices: The memory figures of each device since the start of the window.
    """
    tightest = min(devices, key=lambda figures: figures.get("free_memory_mib", INFINITE))
    kept = {name: value for name, value in tightest.items() if name in ONLY_WORSE}
    figures = {**measured, **summarise(progress.replies), **kept}
    ends_s = (*progress.ends_s, math.inf)
    segments = segment_figures(progress.replies, progress.start_s, ends_s)
    return Measurement.from_flat({**figures, "segments": segments[: progress.ended]})


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
