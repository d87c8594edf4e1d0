"""The promotion file: the best allocation with all its figures, written only where it beats the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.devices.device import Identity
from objectives.engines.command import Command
from objectives.figures import FIGURES, JUDGED, Direction
from objectives.measurement import INFINITE, Measurement
from objectives.servers.versions import Versions
from study.analysis.decision import Decision
from study.promotion import seal
from study.spec.model import Spec
from study.storage.trials import Row

SCHEMA = 1
COMPARED = (  # p95 of a turn may only be compared at equal sessions
    *(name for name, f in JUDGED.items() if f.unit == "ms" and name != "turn_ttft_p95_ms"),
    "stt_wer_pct",
    "concurrent_capacity",
    "free_memory_mib",
    "gpu_utilization_pct",
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a promotion's figures come from."""

    study: str
    sampler: str
    seed: int
    device: Identity
    versions: Versions
    git_commit: str | None
    measured_elsewhere: str | None
    commands: Mapping[str, Command]


def improvement_pct(name: str, winner: Measurement, baseline: Measurement) -> float | None:
    """By how many percent the winner is better (positive) or worse; None where either was not measured.

    >>> improvement_pct("llm_latency_ms", Measurement(llm_latency_ms=90), Measurement(llm_latency_ms=100))
    10.0
    """
    new: float | None = getattr(winner, name)
    old: float | None = getattr(baseline, name)
    if new is None or not old or INFINITE in (new, old):
        return None
    change = 100.0 * (new - old) / old
    return (
        round(-change if FIGURES[name].direction is Direction.DOWN else change, 2) + 0.0
    )  # no -0.0


def flags(allocation: Allocation, spec: Spec) -> dict[str, str]:
    """The exact settings to deploy, by service."""
    llm = [f"--gpu-memory-utilization {allocation.share:g}"]
    llm += [f"--{k.replace('_', '-')} {v}" for k, v in allocation.options("vllm.").items()]
    stt = [f"model size {allocation.speech}"]
    stt += [f"{k}={v}" for k, v in allocation.options("whisper.").items()]
    if spec.services.llm.command is not None:
        llm = [str(allocation)]
    return {"llm": " ".join(llm), "stt": ", ".join(stt)}


def document(decision: Decision, spec: Spec, origin: Origin) -> dict[str, Any]:
    """The promotion as plain data; `status: candidate`, since one study's best is not proof."""
    winner, baseline = decision.winner, decision.baseline
    if (
        winner is None
        or baseline is None
        or winner.measurement is None
        or baseline.measurement is None
    ):
        raise ValueError("nothing to promote")
    new, old = winner.measurement, baseline.measurement
    is_replay = origin.measured_elsewhere is not None
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "status": "replay" if is_replay else "candidate",
        "measured_elsewhere": is_replay,
        "note": origin.measured_elsewhere or "unconfirmed: one study's best is not proof",
        "name": spec.name,
        "parameters": dict(winner.allocation.values),
        "set": flags(winner.allocation, spec),
        "baseline": dict(baseline.allocation.values),
        "why": decision.reason,
        "fitness": {"winner": winner.fitness, "baseline": baseline.fitness},
        "standing": {"winner": _told(decision, winner), "baseline": _told(decision, baseline)},
        "best_single_trial": dict(decision.luckiest.allocation.values)
        if decision.luckiest
        else None,
        "improvement_pct": {k: improvement_pct(k, new, old) for k in COMPARED},
        "metrics": {"winner": new.figures(), "baseline": old.figures()},
        "gates": {"word_error_rate": winner.word_gate, "llm_quality": spec.gates.llm_quality},
        "passed_over": list(decision.passed_over),
        "started_first": new.started_first,
        "study": origin.study,
        "trial": winner.number,
        "sampler": origin.sampler,
        "seeds": {"sampler": origin.seed, "trial": winner.seed, "workload": spec.workload.seed},
        "spec": {"file": str(spec.path) if spec.path else None, "sha256": spec.text_sha256},
        "device": {
            "product": origin.device.product,
            "uuid": origin.device.uuid,
            "total_mib": round(origin.device.total_mib),
            "driver": origin.device.driver,
            "cuda": origin.device.cuda,
        },
        "versions": {"llm": dict(origin.versions.llm), "stt": dict(origin.versions.stt)},
        "git_commit": origin.git_commit,
        "commands": {k: str(c) for k, c in origin.commands.items()},
        "measured_at": new.measured_at or winner.at,
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return data


def _told(decision: Decision, row: Row) -> dict[str, float | int | None] | None:
    """Mean, standard error, measurements and probability of being the best; None where nothing was measured twice."""
    s = decision.standing(row)
    if s is None:
        return None
    is_known = decision.is_noise_known
    return {
        "mean": round(s.mean, 6),
        "standard_error": round(s.standard_error, 6)
        if is_known and s.standard_error is not None
        else None,
        "measurements": s.n,
        "mean_of_measurements": round(s.raw_mean, 6),
        "probability_best": round(s.probability_best, 4) if is_known else None,
    }


def write(data: Mapping[str, Any], folder: Path, name: str) -> Path:
    """The file, sealed, whole or not at all; named by the moment, never over an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{name}_{now:%Y%m%d_%H%M%S}.yaml"
    while path.exists():
        now = now.replace(second=(now.second + 1) % 60)
        path = folder / f"{name}_{now:%Y%m%d_%H%M%S}.yaml"
    seal.put(data, path)
    return path
