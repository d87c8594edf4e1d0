"""The promotion file: the best allocation with all its figures, written only where it beats the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from objectives.allocation import Allocation
from objectives.budget import speech_key
from objectives.command import Command
from objectives.device import Identity
from objectives.environment import Versions
from objectives.measurement import INFINITE, Measurement
from study.history import Row
from study.question import Question
from study.spec import Spec

SCHEMA = 1
COMPARED = {
    "stt_latency_ms": "down",
    "stt_latency_p95_ms": "down",
    "llm_latency_ms": "down",
    "llm_latency_p95_ms": "down",
    "llm_ttft_ms": "down",
    "llm_ttft_p95_ms": "down",
    "llm_tpot_ms": "down",
    "turn_ttft_ms": "down",
    "stt_wer_pct": "down",
    "concurrent_capacity": "up",
    "free_memory_mib": "up",
    "gpu_utilization_pct": "neutral",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a study says: a winner to promote, or why the baseline stays.

    passed_over: better scores that no gate let through, one sentence each
    """

    winner: Row | None
    baseline: Row | None
    reason: str
    passed_over: Sequence[str] = ()


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


def decide(rows: Sequence[Row], spec: Spec | Question) -> Decision:
    """The best feasible trial whose gates are passed, if it beats the baseline by more than its efficiency."""
    measured = [r for r in rows if r.measurement is not None and r.repeat_of is None]
    baseline = next((r for r in measured if str(r.allocation) == str(spec.baseline)), None)
    feasible = sorted((r for r in measured if r.is_feasible), key=lambda r: -(r.fitness or 0.0))
    if not feasible:
        return Decision(None, baseline, "no allocation met every constraint: the baseline stays")
    if baseline is None or not baseline.is_feasible:
        reference = next((f"; terms are relative to {r.allocation}" for r in measured if r.is_reference), "")
        ending = "it has no usable measurement of its own, so nothing can be said to beat it"
        return Decision(None, baseline, f"the baseline stays: {ending}{reference}")
    passed_over: list[str] = []
    for r in feasible:
        if (r.fitness or 0.0) <= (baseline.fitness or 0.0):
            break
        if str(r.allocation) == str(spec.baseline):
            continue  # measured once more, as a bridge to another card
        obstacle = _obstacle(r, baseline, spec)
        if obstacle is None:
            return Decision(r, baseline, _why(r, baseline), passed_over)
        passed_over.append(f"{r.allocation} (fitness {r.fitness:.4f}): {obstacle}")
    ending = "; better scores were held back, see above" if passed_over else ""
    return Decision(
        None,
        baseline,
        f"the baseline stays: nothing beat it ({spec.baseline}, fitness {baseline.fitness:.4f}){ending}",
        passed_over,
    )


def _obstacle(r: Row, baseline: Row, spec: Spec | Question) -> str | None:
    """Why a leading trial may not be promoted; None where nothing stands against it."""
    m = r.measurement
    if m is None or m.oom_events:
        return "it ran out of memory"
    if m.lag_exceeded:
        return "our own requests left late while it was measured"
    if speech_key(r.allocation) != speech_key(spec.baseline) and r.word_gate != "pass":
        more = f"; about {r.minutes_more_audio:.0f} more minutes of audio would decide" if r.minutes_more_audio else ""
        word = {
            "cannot_tell": f"the clips are too few to tell whether its words are as good{more}",
            "not_measured": "its word error rate was not measured",
        }
        return word.get(str(r.word_gate), "its word error rate is over the gate")
    ahead = sum(
        (r.contributions.get(k) or 0.0) - (baseline.contributions.get(k) or 0.0) for k in ("stt", "llm", "capacity")
    )
    if ahead <= 0:
        return "it leads by efficiency and stability only, not by latency or capacity"
    return None


def _why(r: Row, baseline: Row) -> str:
    gains = {k: (v or 0.0) - (baseline.contributions.get(k) or 0.0) for k, v in r.contributions.items()}
    parts = ", ".join(f"{k} {gain:+.4f}" for k, gain in sorted(gains.items(), key=lambda g: -g[1]))
    return f"fitness {r.fitness:.4f} against the baseline's {baseline.fitness:.4f}: {parts}"


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
    return round(-change if COMPARED[name] == "down" else change, 2) + 0.0  # no -0.0


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
    if winner is None or baseline is None or winner.measurement is None or baseline.measurement is None:
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


def write(data: Mapping[str, Any], folder: Path, name: str) -> Path:
    """The file, whole or not at all; named by the moment, never over an older one."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    path = folder / f"{name}_{now:%Y%m%d_%H%M%S}.yaml"
    while path.exists():
        now = now.replace(second=(now.second + 1) % 60)
        path = folder / f"{name}_{now:%Y%m%d_%H%M%S}.yaml"
    draft = path.with_suffix(".draft")
    draft.write_text(yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True), "utf-8")
    draft.replace(path)
    return path
