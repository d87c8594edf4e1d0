"""A promotion of fake servers, where 0.06 answers sooner than 0.1, and launches made of numbers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from conftest import FAKE, Shelf
from made import measurement

from objectives.servers.versions import Versions
from study.bench.bench import Bench
from study.confirmation.journal import Launch, Pair
from study.promotion import seal
from study.spec.load import load
from study.spec.setting import setting_of

SERVER = f"{sys.executable} {FAKE} --port {{port}}"
FAKES: dict[str, Any] = {
    "name": "fakes",
    "device": "cpu",
    "search_space": {"vllm_memory_util": [0.06, 0.1], "whisper_model_size": ["base"]},
    "bounds": {"vllm_memory_util": [0.05, 0.7]},
    "baseline": {"vllm_memory_util": 0.1, "whisper_model_size": "base"},
    "services": {
        "llm": {"command": f"{SERVER} --delay {{vllm_memory_util}} --mood slow", "vocabulary": 2048},
        "stt": {"command": f"{SERVER} --label {{whisper_model_size}} --delay 0.1 --mood slow"},
    },
    "workload": {
        "window_s": 1, "llm_per_s": 6, "stt_per_s": 6, "prompt_tokens": [8, 16], "output_tokens": 4, "ladder_s": 0,
        "alone_requests": 0, "request_timeout_s": 20,
    },
    "reserve_mib": 100,
}  # fmt: skip


def promotion(folder: Path, changes: dict[str, Any] | None = None, **more: Any) -> Path:
    """A sealed candidate of the fake servers, its spec beside it; `changes` are of the spec, `more` of the file."""
    spec = folder / "fakes.yaml"
    spec.write_text(yaml.safe_dump(FAKES | (changes or {}), sort_keys=False))
    data = {
        "schema": 1,
        "status": "candidate",
        "name": "fakes",
        "parameters": {"vllm_memory_util": 0.06, "whisper_model_size": "base"},
        "baseline": {"vllm_memory_util": 0.1, "whisper_model_size": "base"},
        "spec": {"file": str(spec), "sha256": "0"},
        "device": {"product": Shelf.identity.product, "uuid": "shelf-0", "total_mib": 10_000},
        "versions": {"llm": {}, "stt": {}},
    }
    path = folder / "fakes_1.yaml"
    seal.put(data | more, path)
    return path


def shelf(spec_file: Path) -> Bench:
    """The fake servers on a device of numbers."""
    return Bench(Shelf(), setting_of(load(spec_file)), Versions({}, {}), ())


def pair(
    number: int,
    baseline: dict[str, Any],
    winner: dict[str, Any],
    *,
    stage: str = "ab",
    workloads: tuple[str, ...] = ("main",),
) -> Pair:
    """A pair whose launches have these figures under every workload."""
    launches = [
        Launch(role, {name: measurement(**figures) for name in workloads})  # type: ignore[arg-type]
        for role, figures in (("baseline", baseline), ("winner", winner))
    ]
    order = launches if number % 2 else launches[::-1]
    return Pair(
        stage=stage, number=number, launches=(order[0], order[1]), at=f"2026-11-20T10:{number:02}:00",  # type: ignore[arg-type]
        wall_s=100.0, card="shelf-0",
    )  # fmt: skip
