"""This module makes the promotion file: the best allocation with all its figures.

There is one only where a winner beats the baseline, or where that does not work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.engines.registry import apis_of, in_order
from objectives.figures import CAPACITY, Direction, figure, figures_of
from objectives.measurement import INFINITE
from objectives.on_demand.resident import keeps_process, sleeps
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.promotion import seal
from study.promotion.schema import SCHEMA
from study.promotion.status import Status
from study.spec.traces.words import (
    left_out_in_words,
    lengths_in_words,
    sent_in_words,
    slice_in_words,
)
from study.storage.context import StudyContext


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin says how a promotion was found.

    Args:
        study: The study's name.
        sampler: Its sampler's name.
        seed: The sampler's seed.
        spec_file: The file of its spec.
    """

    study: str
    sampler: str
    seed: int
    spec_file: Path


def compared_figures(apis: Mapping[str, str]) -> tuple[str, ...]:
    """Return the figures that winner and reference are compared by.

    The p95 of a turn follows from its services, which are compared.
    """
    figures = figures_of(apis)
    times = (n for n, f in figures.items() if f.unit == "ms" and n != "turn_ttft_p95_ms")
    words = (n for n, f in figures.items() if f.name == "wer_pct")
    return (*times, *words, CAPACITY, "free_memory_mib", "gpu_utilization_pct")


def improvement_pct(name: str, new: float | None, old: float | None) -> float | None:
    """Return by how many percent a figure is better (positive) or worse; None if not measured.

    >>> improvement_pct("llm_latency_ms", 90.0, 100.0)
    10.0
    """
    if new is None or not old or INFINITE in (new, old):
        return None
    change = 100.0 * (new - old) / old
    gain = -change if figure(name).direction is Direction.DOWN else change
    return round(gain, 2) + 0.0  # no -0.0


def document(
    decision: Decision,
    context: StudyContext,
    origin: Origin,
    *,
    why: str,
    passed_over: Sequence[str],
) -> dict[str, Any]:
    """Return the promotion as plain data; its status is candidate or replay.

    A candidate is unconfirmed, since one study's best is not proof.

    Args:
        decision: The winner, and what it is held against.
        context: What the study asks, and where its figures come from.
        origin: How it was found.
        why: Why this one won, in words.
        passed_over: Why better ones did not, a sentence each.

    Raises:
        ValueError: There is no winner.
    """
    winner, reference = decision.winner, decision.reference
    if winner is None or reference is None:
        raise ValueError("nothing to promote")
    new, old, first = winner.figures, reference.figures, winner.measured[0]
    device, best = context.device, decision.luckiest
    compared = compared_figures(apis_of(context.services))
    return {
        "schema": SCHEMA,
        "status": (Status.REPLAY if context.is_replay else Status.CANDIDATE).value,
        "measured_elsewhere": context.is_replay,
        "note": context.measured_elsewhere or "unconfirmed: one study's best is not proof",
        "name": context.name,
        "parameters": dict(winner.allocation.values),
        "set": {e.name: e.settings(winner.allocation) for e in in_order(context.services)},
        "baseline": dict(context.baseline.values) if context.has_today else None,
        "baseline_works": decision.baseline is not None if context.has_today else None,
        "why": why,
        "fitness": {c: of.fitness for c, of in _both(decision)},
        "launches": {c: len(of.measured) for c, of in _both(decision)},
        "best_single_trial": dict(best.allocation.values) if best else None,
        "improvement_pct": {
            k: improvement_pct(k, *_pair(k, new, old)) for k in compared if decision.is_relative
        },
        "metrics": {c: dict(of.figures) for c, of in _both(decision)},
        "gates": {
            "word_error_rate": winner.word_gate and winner.word_gate.value,
            "llm_quality": context.gates.llm_quality,
            "not_judged": list(context.unjudged(winner.allocation)),
        },
        "passed_over": list(passed_over),
        "started_first": new["started_first"],
        "study": origin.study,
        "trial": winner.number,
        "sampler": origin.sampler,
        "seeds": {"sampler": origin.seed, "trial": first.seed, "workload": context.workload.seed},
        **_of_trace(context),
        "spec": {"file": str(origin.spec_file), "sha256": context.spec_sha256},
        "device": {**asdict(device), "total_mib": round(device.total_mib)},
        **_of_devices(context, winner.allocation),
        "versions": {service: dict(packages) for service, packages in context.versions.items()},
        "git_commit": context.git_commit,
        **_of_sleepers(context, winner.allocation),
        "commands": {k: str(c) for k, c in context.commands(winner.allocation).items()},
        "measured_at": new["measured_at"] or first.at,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _of_trace(context: StudyContext) -> dict[str, Any]:
    """Return what was replayed of a trace and what was left out; nothing where there was none."""
    workload = context.workload
    if workload.trace is None:
        return {}
    replayed = {
        "replays": slice_in_words(workload.trace),
        "left_out": left_out_in_words(workload.trace),
        "sent": f"{sent_in_words(workload)}; {lengths_in_words(workload)}",
        "trace_sha256": workload.trace.sha256,
    }
    return {"workload": replayed}


def _of_devices(context: StudyContext, allocation: Allocation) -> dict[str, Any]:
    """Return the other devices, and which each service is on; nothing where there is one."""
    if not context.other_devices:
        return {}
    devices = {name: asdict(device) for name, device in context.other_devices.items()}
    return {"other_devices": devices, "places": context.places(allocation)}


def _of_sleepers(context: StudyContext, allocation: Allocation) -> dict[str, Any]:
    """Return what wakes each service that sleeps; nothing where all are resident."""
    sleepers = {
        name: {"woken_by": service.woken_by, "idle_s": service.idle_s}
        | ({"sleep_mode": True} if keeps_process(service) else {})
        for name, service in context.services.items()
        if sleeps(name, service, allocation)
    }
    return {"on_demand": sleepers} if sleepers else {}


def _both(decision: Decision) -> list[tuple[str, Configuration]]:
    """Return the winner and what it is held against, by role; a reference that is itself once."""
    beside = "baseline" if decision.baseline is not None else "reference"
    other = decision.reference if decision.is_relative else None
    sides = (("winner", decision.winner), (beside, other))
    return [(name, c) for name, c in sides if c is not None]


def _pair(
    name: str, new: Mapping[str, Any], old: Mapping[str, Any]
) -> tuple[float | None, float | None]:
    """Return a figure of both as numbers; a file spells an infinite latency "inf"."""
    first, second = (None if (v := f.get(name)) is None else float(v) for f in (new, old))
    return first, second


def write_promotion(data: Mapping[str, Any], folder: Path, name: str) -> Path:
    """Write the sealed file whole, named by the moment and never over an older one; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{name}_{now:%Y%m%d_%H%M%S}.yaml"
    while path.exists():
        now = now.replace(second=(now.second + 1) % 60)
        path = folder / f"{name}_{now:%Y%m%d_%H%M%S}.yaml"
    seal.put(data, path)
    return path
