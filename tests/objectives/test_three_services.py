"""Services beside the voice turn are started, asked and measured with it, on fake servers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from live_factories import LOW, SERVER, setting

from objectives.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.evaluation import Job
from objectives.load import ramp
from objectives.services import OtherService
from objectives.setting import Setting, conditions
from study.spec.services.beside import traffic_beside

TURNS = {"window_s": 2, "turns_per_s": 4, "llm_per_s": 0, "stt_per_s": 0, "alone_requests": 2}


def three(mood: str = "well", **more: object) -> Setting:
    usual = setting(**TURNS)
    command = f"{SERVER} --mood {mood} --after 6 --label {{embed.size}}"
    embed = OtherService(api="embeddings", command=command, per_s=5, texts=3, **more)  # type: ignore[arg-type]
    speech = OtherService(api="speech", command=SERVER, per_s=1)
    ranks = OtherService(api="rerank", command=SERVER, per_s=1, texts=2)
    services = {**usual.services, "embed": embed, "voice": speech, "ranks": ranks}
    workload = replace(usual.workload, beside=traffic_beside(services))
    return replace(usual, services=services, workload=workload)


def job(folder: Path) -> Job:
    return Job(replace(LOW, values={**LOW.values, "embed.size": 8}), 0, folder)


def test_each_service_beside_the_turn_has_its_figures(device, tmp_path) -> None:
    with Colocation(three(), device_set(device), tmp_path) as colocation:
        outcome = colocation.measure(job(tmp_path / "0"))
    m = outcome.measurement
    assert m is not None, outcome.failure
    offered = {name: s.offered for name, s in m.services.items()}
    assert offered == {"llm": 8, "stt": 8, "embed": 10, "voice": 2, "ranks": 2}
    assert all(s.latency_p95_ms and s.interference for s in m.services.values())
    assert m.services["embed"].ttft_ms is None  # its answer comes in one piece
    lines = (tmp_path / "0/replies.jsonl").read_text().splitlines()
    turns = {(r["service"], r["turn"] is None) for r in map(json.loads, lines)}
    assert turns >= {("embed", True), ("voice", True), ("ranks", True), ("llm", False)}
    assert ("embed", False) not in turns


def test_one_that_runs_out_of_memory_is_the_victim(device, tmp_path) -> None:
    with Colocation(three("oom-under-load"), device_set(device), tmp_path) as colocation:
        failure = colocation.measure(job(tmp_path / "0")).failure
    assert failure is not None and failure.diagnosis is not None
    assert (failure.diagnosis.failure_class, failure.diagnosis.victim) == ("oom_runtime", "embed")
    assert "out of memory" in failure.diagnosis.evidence


def test_one_that_is_out_of_memory_at_its_start_is_the_victim(device, tmp_path) -> None:
    with Colocation(three("oom-at-start"), device_set(device), tmp_path) as colocation:
        failure = colocation.measure(job(tmp_path / "0")).failure
    assert failure is not None and failure.diagnosis is not None
    assert failure.diagnosis.victim == "embed"


def test_ramps_are_of_turns_only(device, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(ramp, "COMPLETION_WINDOW_S", 1.0)
    asked = three()
    workload = replace(asked.workload, ramp_s=10.0, ramp_doubling_s=1.0)
    asked = replace(asked, workload=workload, limits={"stt_latency_p95_ms": 0.001})
    with Colocation(asked, device_set(device), tmp_path) as colocation:
        outcome = colocation.measure(job(tmp_path / "0"))
    assert outcome.measurement is not None, outcome.failure
    rows = map(json.loads, (tmp_path / "0/ramp.jsonl").read_text().splitlines())
    assert {row["service"] for row in rows} == {"llm", "stt"}


@pytest.mark.parametrize("name", ["embed", "voice", "ranks"])
def test_what_has_no_traffic_beside_leaves_old_conditions_as_they_were(name: str) -> None:
    assert "beside" not in conditions(setting(**TURNS))["workload"]
    assert name in {t["service"] for t in conditions(three())["workload"]["beside"]}
