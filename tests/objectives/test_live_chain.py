"""A real chain on the CPU: speech that sleeps, an LLM, a spoken answer, and rankings beside it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from made.model_folders import write_ranker

from objectives.allocation import Allocation
from objectives.colocation.colocation import Colocation
from objectives.devices.open_device import open_device
from objectives.evaluation import Job
from objectives.services import OtherService
from study.spec.load import load
from study.spec.services.beside import traffic_beside
from study.spec.setting import setting_of

ROOT = Path(__file__).resolve().parents[2]
SPEAKS = (ROOT / ".servers/tts").resolve()


@pytest.mark.live
def test_a_turn_is_heard_answered_and_spoken_and_its_first_one_wakes_speech(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    write_ranker(tmp_path / "bert")
    shutil.copytree(SPEAKS / "data", tmp_path / "tts", symlinks=True)  # it writes there
    spec = load(ROOT / "tests/specs/ci_live.yaml")
    setting = setting_of(spec)
    voice = OtherService(
        api="speech",
        command=f"{SPEAKS}/bin/local-tts --host 127.0.0.1 --port {{port}}",
        env={"LOCAL_TTS_DATA_DIR": f"{tmp_path}/tts", "OMP_NUM_THREADS": "1"},
        health_path="/api/health",
        tokens=(5, 10),
        per_s=0.0,
    )
    ranks = OtherService(
        api="rerank",
        engine="vllm",
        python=f"{ROOT}/.servers/vllm/bin/python",
        model=f"{tmp_path}/bert",
        args=("--load-format", "dummy", "--enforce-eager", "--max-num-seqs", "8"),
        per_s=0.5,
        texts=3,
        start_timeout_s=240.0,
    )
    stt = replace(setting.services["stt"], resident=False, woken_by="front", idle_s=3.0)
    services = {**setting.services, "stt": stt, "voice": voice, "ranks": ranks}
    workload = replace(
        setting.workload,
        turn=("stt", "llm", "voice"),
        beside=traffic_beside(services),
        request_timeout_s=120.0,
        ramp_s=0.0,
    )
    setting = replace(setting, services=services, workload=workload, tenants=())
    values = {**spec.baseline.values, "whisper_model_size": "tiny.en"}
    allocation = Allocation({**values, "ranks.gpu_memory_utilization": 0.02})
    with Colocation(setting, {"cpu": open_device("cpu")}, tmp_path) as colocation:
        outcome = colocation.measure(Job(allocation, 0, tmp_path / "0"))
    m = outcome.measurement
    assert m is not None, outcome.failure or outcome.setup_error
    assert m.failure_rate == 0 and set(m.services) == {"llm", "stt", "voice", "ranks"}
    assert m.services["voice"].offered == m.services["llm"].offered - beside_turns(tmp_path / "0")
    speech = m.services["stt"]
    assert speech.cold_starts and speech.cold_start_s and speech.asleep_mib is not None
    assert speech.memory_mib is not None and speech.asleep_mib < speech.memory_mib
    assert speech.word_errors and m.services["ranks"].latency_p95_ms


def beside_turns(folder: Path) -> int:
    """Return how many requests the LLM got that are of no turn."""
    replies = map(json.loads, (folder / "replies.jsonl").read_text().splitlines())
    return sum(r["service"] == "llm" and r["turn"] is None for r in replies)
