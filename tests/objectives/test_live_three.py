"""Three real servers share the CPU, in two places: an LLM, speech recognition, and embeddings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from model_folders import write_embedder

from objectives.allocation import Allocation
from objectives.colocation import Colocation
from objectives.devices.open_device import open_device
from objectives.evaluation import Job
from objectives.services import OtherService
from study.spec.load import load
from study.spec.services.beside import traffic_beside
from study.spec.setting import setting_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.live
def test_embeddings_beside_a_voice_turn_are_measured_and_named_where_they_get_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    write_embedder(tmp_path / "bert")
    spec = load(ROOT / "tests/specs/ci_live.yaml")
    setting = setting_of(spec)
    embed = OtherService(
        api="embeddings",
        engine="vllm",
        python=f"{ROOT}/.servers/vllm/bin/python",
        model=f"{tmp_path}/bert",
        args=("--load-format", "dummy", "--enforce-eager", "--max-num-seqs", "8"),
        per_s=1.0,
        texts=2,
        start_timeout_s=240.0,
    )
    services = {n: replace(s, place="cpu") for n, s in setting.services.items()}
    services |= {"embed": replace(embed, place="cpu")}
    beside = traffic_beside(services)
    shorter = {"ramp_s": 0.0, "words": "assistant", "request_timeout_s": 120.0}  # 24 clips, not 105
    workload = replace(setting.workload, **shorter, beside=beside)
    setting = replace(setting, services=services, workload=workload, tenants=())

    def job(share: float, place: str, *, is_fresh: bool = True) -> Job:
        own = {"embed.gpu_memory_utilization": share, "stt.place": place}
        values = {**spec.baseline.values, **own}
        folder = tmp_path / f"{share}-{place.replace('/', '-')}"
        return Job(Allocation(values), 0, folder, is_fresh=is_fresh)

    with Colocation(setting, {"cpu": open_device("cpu")}, tmp_path) as colocation:
        outcome = colocation.measure(job(0.02, "cpu/int8"))
        moved = colocation.measure(job(0.02, "cpu/float32", is_fresh=False)).measurement
        failure = colocation.measure(job(0.995, "cpu/int8")).failure
    m = outcome.measurement
    assert m is not None, outcome.failure or outcome.setup_error
    assert set(m.services) == {"llm", "stt", "embed"}
    assert m.failure_rate == 0 and m.services["embed"].offered == round(workload.window_s)
    assert all(s.latency_p95_ms and s.memory_mib for s in m.services.values())
    assert moved is not None and moved.services["stt"].start_s
    assert (moved.services["llm"].start_s, moved.services["embed"].start_s) == (0, 0)
    assert failure is not None and failure.diagnosis is not None
    assert failure.diagnosis.victim == "embed" and failure.diagnosis.deficit_mib
