"""A real server of llama.cpp is the LLM beside our speech server, on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from objectives.allocation import Allocation, Scalar
from objectives.capacity.ramp_range import RampRange
from objectives.colocation.colocation import Colocation
from objectives.devices.open_device import open_device
from objectives.evaluation import Job
from objectives.services import LlmService
from objectives.setting import Setting
from study.spec.load import load
from study.spec.setting import setting_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.chdir(ROOT)
    return setting_of(load(ROOT / "tests/specs/three_services.yaml"))


def job(folder: Path, context: int, embed_context: int = 8192) -> Job:
    values: dict[str, Scalar] = {
        "llama.ctx_size": context,
        "embed.ctx_size": embed_context,
        "whisper_model_size": "tiny.en",
        "stt.place": "cpu/int8",
    }
    return Job(Allocation(values), 0, folder / f"{context}-{embed_context}")


@pytest.mark.live
def test_it_is_measured_beside_embeddings_that_sleep_and_each_is_named_where_it_gets_no_memory(
    setting: Setting, tmp_path: Path
) -> None:
    known = RampRange.around(0.3, doubling_s=3.0, ramp_s=9.0)  # else a ramp looks for it
    devices = {"cpu": open_device("cpu")}
    with Colocation(setting, devices, tmp_path, ramp_range=known) as colocation:
        outcome = colocation.measure(job(tmp_path, 8192))
        failures = {
            "embed": colocation.measure(job(tmp_path, 8192, 20_000_000)).failure,
            "llm": colocation.measure(job(tmp_path, 20_000_000)).failure,
        }
    m = outcome.measurement
    assert m is not None, outcome.failure or outcome.setup_error
    llm, asleep = m.services["llm"], m.services["embed"]
    assert m.failure_rate == 0 and llm.ttft_p95_ms and llm.tpot_p95_ms
    assert (llm.kv_tokens, llm.max_model_len, m.kv_capacity_bound) == (8192, 2048, 4)
    assert llm.kv_peak_pct and llm.memory_mib and llm.memory_mib > 128  # of cache alone
    assert m.capacity_turns_per_s and m.services["stt"].wer_pct is not None
    assert asleep.cold_starts and asleep.cold_start_s
    assert asleep.latency_p95_ms and asleep.latency_p95_ms >= 1000 * asleep.cold_start_s
    assert asleep.awake_pct and asleep.awake_pct < 100
    assert asleep.memory_mib and asleep.asleep_mib is not None
    assert asleep.asleep_mib < asleep.memory_mib - 128  # its cache alone was given back
    for victim, failure in failures.items():
        assert failure is not None and failure.diagnosis is not None
        assert (failure.diagnosis.failure_class, failure.diagnosis.victim) == (
            "oom_startup",
            victim,
        )


@pytest.mark.live
def test_a_file_that_is_no_model_is_a_set_up_error(setting: Setting, tmp_path: Path) -> None:
    file = tmp_path / "bad.gguf"
    file.write_text("not a model")
    llm = setting.services["llm"]
    assert isinstance(llm, LlmService)
    services = {**setting.services, "llm": replace(llm, model=str(file), vocabulary=2048)}
    setting = replace(setting, services=services)
    with Colocation(setting, {"cpu": open_device("cpu")}, tmp_path) as colocation:
        outcome = colocation.measure(job(tmp_path, 8192))
    assert outcome.setup_error is not None
    assert "invalid magic" in outcome.setup_error and "fetch the model again" in outcome.setup_error
