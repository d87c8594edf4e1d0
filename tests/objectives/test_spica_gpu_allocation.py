"""Checks the evaluator for somebody else's runner, on a recording; nothing of a result is None."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from processes.commands import ROOT
from processes.forked import Forked

from objectives import spica_gpu_allocation
from objectives.fitness import PRESETS, fixed_fitness
from objectives.measurement import Measurement
from objectives.spica_gpu_allocation import SPEC_VARIABLE, SpicaGPUAllocation

FILE = ROOT / "objectives/spica_gpu_allocation.py"
SPEC = str(ROOT / "study/specs/cpu_recorded.yaml")
TIMEOUT_MS = 120_000.0
KEYS = [
    "test_id",
    "status",
    "vllm_memory_util",
    "whisper_model_size",
    "stt_latency_ms",
    "llm_latency_ms",
    "gpu_utilization_pct",
    "gpu_utilization",
    "oom_events",
    "concurrent_capacity",
    "free_memory_mb",
    "free_memory_mib",
    "fitness",
    "reason",
]


@pytest.fixture
def evaluator(monkeypatch: pytest.MonkeyPatch) -> SpicaGPUAllocation:
    """Return one whose interpreter is a fork; the other tests start one each."""
    namespace = SimpleNamespace(**vars(subprocess) | {"run": forked})
    monkeypatch.setattr(spica_gpu_allocation, "subprocess", namespace)
    return SpicaGPUAllocation(SPEC, python=sys.executable)


def forked(
    line: list[str], *, capture_output: bool, check: bool, **options: Any
) -> subprocess.CompletedProcess[str]:
    assert capture_output and not check
    with Forked(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        out, err = process.communicate()
    return subprocess.CompletedProcess(line, process.returncode, str(out), str(err))


def test_a_candidate_is_measured_itself(evaluator: SpicaGPUAllocation) -> None:
    results = [
        evaluator.evaluate({"vllm_memory_util": share, "whisper_model_size": "tiny.en"})
        for share in (0.3, 0.45)
    ]
    assert [list(r) for r in results] == [KEYS] * 2
    assert [r["status"] for r in results] == ["pass"] * 2
    assert results[0]["llm_latency_ms"] != results[1]["llm_latency_ms"]
    assert results[0]["free_memory_mib"] > results[1]["free_memory_mb"] > 0
    assert all(r["test_id"].startswith("gpu-") and len(r["test_id"]) == 12 for r in results)
    assert evaluator.measure_stt_latency("tiny.en") == results[1]["stt_latency_ms"]
    assert evaluator.measure_llm_latency() == results[1]["llm_latency_ms"]
    assert len(evaluator.results) == 2, "what is known is not measured again"


def test_what_runs_out_of_memory_has_no_figure_that_could_win(
    evaluator: SpicaGPUAllocation,
) -> None:
    result = evaluator.evaluate({"vllm_memory_util": 0.6, "whisper_model_size": "base"})
    assert (result["status"], result["oom_events"], result["fitness"]) == ("fail", 1, 0.0)
    assert result["stt_latency_ms"] == result["llm_latency_ms"] == TIMEOUT_MS
    assert result["concurrent_capacity"] == 0 and result["reason"].startswith("oom_budget")
    assert None not in result.values() and evaluator.check_oom_events() == 1


def test_what_cannot_be_measured_is_invalid(evaluator: SpicaGPUAllocation) -> None:
    result = evaluator.evaluate({"vllm_memory_util": 0.9})
    assert (result["status"], result["fitness"]) == ("invalid", 0.0)
    assert "outside the bounds" in result["reason"] and result["llm_latency_ms"] == TIMEOUT_MS


@pytest.mark.parametrize(
    "made",
    [
        lambda: SpicaGPUAllocation("/nowhere.yaml", python=sys.executable),
        lambda: SpicaGPUAllocation(SPEC, python="/no/python"),
        lambda: SpicaGPUAllocation(SPEC, python="/bin/false"),
        lambda: SpicaGPUAllocation(SPEC, "no_such", python=sys.executable),
    ],
)
def test_a_set_up_that_is_wrong_is_a_status_with_its_reason(
    made: Callable[[], SpicaGPUAllocation],
) -> None:
    result = made().evaluate({"vllm_memory_util": 0.3})
    assert result["status"] == "error" and result["reason"]
    assert result["fitness"] == 0.0 and None not in (
        result[k] for k in KEYS if k != "whisper_model_size"
    )


@pytest.mark.parametrize(
    ("stt", "llm", "pct", "capacity"),
    [(999, 999, 90.4, 5), (287.3, 623.1, 68.2, 8), (1, 1, 70, 40), (400, 2000, 10, 0)],
)
def test_its_fitness_is_the_designs(stt: float, llm: float, pct: float, capacity: int) -> None:
    figures: dict[str, Any] = {
        "stt_latency_ms": stt,
        "llm_latency_ms": llm,
        "gpu_utilization_pct": pct,
        "concurrent_capacity": capacity,
        "capacity_turns_per_s": float(capacity),
    }
    ours = fixed_fitness(Measurement.from_flat(figures), PRESETS["balanced"]).value
    result = figures | {"status": "pass", "oom_events": 0}
    assert SpicaGPUAllocation(SPEC).compute_fitness(result) == pytest.approx(ours)
    assert SpicaGPUAllocation(SPEC).compute_fitness(result | {"oom_events": 1}) == 0.0


def test_the_state_of_the_device_is_that_of_the_spec(evaluator: SpicaGPUAllocation) -> None:
    state = evaluator.get_gpu_state()
    assert state["total_mb"] == pytest.approx(state["used_mb"] + state["free_mb"], abs=1)
    assert state["total_mb"] > 0 and isinstance(state["processes"], list)
    assert SpicaGPUAllocation("/nowhere.yaml").get_gpu_state()["total_mb"] == 0


def test_a_foreign_runner_loads_it_as_a_plain_file_without_our_packages(tmp_path: Path) -> None:
    code = f"""
import importlib.util, json, sys
sys.path[:] = [p for p in sys.path if "site-packages" not in p]
spec = importlib.util.spec_from_file_location("_dreameval_mod", {str(FILE)!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
evaluator = module.SpicaGPUAllocation()
print(json.dumps(evaluator.evaluate({{"vllm_memory_util": 0.3}}, {{"generation": 1}})))
"""
    env = {SPEC_VARIABLE: SPEC, "GPU_ALLOCATION_PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=env, capture_output=True, check=True
    )
    assert json.loads(ran.stdout)["status"] == "pass"


def test_the_manual_test_run_of_the_design(tmp_path: Path) -> None:
    line = [sys.executable, str(FILE), "--spec", SPEC, "--share", "0.45", "--size", "base"]
    ran = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=True)
    result = json.loads(ran.stdout.partition("Results:")[2])
    assert (result["vllm_memory_util"], result["status"]) == (0.45, "pass")


def test_it_imports_the_standard_library_alone() -> None:
    spec = importlib.util.find_spec("objectives.spica_gpu_allocation")
    assert spec is not None
    text = FILE.read_text()
    names = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith("from")}
    names |= {line.split()[1] for line in text.splitlines() if line.startswith("import ")}
    assert names <= {*sys.stdlib_module_names, "__future__"}
