"""Four real servers share the CPU: two LLMs of two engines, speech recognition, and embeddings.

They are started once: held at a rate, captured, measured, and moved.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fake_servers.fake_upstream import COMPLETIONS
from made.model_folders import write_embedder
from rigs.captures import capturing

from objectives.allocation import Allocation
from objectives.capacity.holds import Hold
from objectives.capacity.ramp_replies import read
from objectives.colocation.colocation import Colocation
from objectives.devices.open_device import open_device
from objectives.engines.registry import engines_of
from objectives.evaluation import Job
from objectives.load.open_loop import drive
from objectives.services import LlmService, OtherService
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request
from study.spec.load import load
from study.spec.services.beside import traffic_beside
from study.spec.setting import setting_of
from study.spec.traces.captured_requests import captured

ROOT = Path(__file__).resolve().parents[2]
CLIPS = read_clips("assistant")
NEVER_MET = {"stt_latency_p95_ms": 0.001}
ASKED = {"prompt": "<t400><t401><t402> " * 10, "max_tokens": 16, "ignore_eos": True}
SENT = [
    Request("stt", 0.0, clip=2, turn=0),
    Request("llm", 0.0, 40, 8, seed=1, turn=0),
    Request("llm", 0.3, 64, 12, seed=2),
    Request("stt", 0.6, clip=5),
]


@pytest.fixture(scope="module")
def colocation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Colocation]:
    folder = tmp_path_factory.mktemp("servers")
    write_embedder(folder / "bert")
    embed = OtherService(
        api="embeddings",
        engine="vllm",
        python=f"{ROOT}/.servers/vllm/bin/python",
        model=f"{folder}/bert",
        args=("--load-format", "dummy", "--enforce-eager", "--max-num-seqs", "8"),
        per_s=1.0,
        texts=2,
        start_timeout_s=600.0,
    )
    chat = OtherService(
        api="chat",
        engine="llama_cpp",
        program=f"{ROOT}/.servers/llama/bin/llama-server",
        model=f"{ROOT}/.servers/llama/tiny.gguf",
        args=("--parallel", "2", "--threads", "1", "--cache-ram", "0"),
        per_s=1.0,
        tokens=(16, 24),
        output_tokens=12,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        setting = setting_of(load(ROOT / "tests/specs/ci_live.yaml"))
        services = {n: replace(s, place="cpu") for n, s in setting.services.items()}
        services |= {n: replace(s, place="cpu") for n, s in {"chat": chat, "embed": embed}.items()}
        beside = traffic_beside(services)
        longer = {"hold_s": 10.0, "request_timeout_s": 120.0}
        workload = replace(setting.workload, ramp_s=0.0, **longer, beside=beside)
        easy = dict.fromkeys(setting.limits, 100_000.0)
        changed = {"services": services, "workload": workload, "limits": easy, "tenants": ()}
        setting = replace(setting, **changed)
        with Colocation(setting, {"cpu": open_device("cpu")}, folder) as colocation:
            yield colocation


def job(folder: Path, share: float, place: str = "cpu/int8", context: int = 4096) -> Job:
    folder.mkdir(exist_ok=True)
    values = {"vllm_memory_util": 0.08, "whisper_model_size": "tiny.en", "stt.place": place}
    more = {"embed.gpu_memory_utilization": share, "chat.ctx_size": context}
    return Job(Allocation({**values, **more}), 0, folder)


@pytest.mark.live
def test_a_rate_that_they_follow_is_held_and_one_that_they_cannot_is_not(
    colocation: Colocation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = colocation.hold(job(tmp_path, 0.02), 0.5)
    assert isinstance(held, Hold), held
    replies = read(tmp_path / "hold.jsonl")
    monkeypatch.setattr(colocation, "setting", replace(colocation.setting, limits=NEVER_MET))
    lost = colocation.hold(job(tmp_path, 0.02), 2.0)
    assert isinstance(lost, Hold), lost
    assert held.is_held and held.turns > 0
    assert len(replies) == 2 * held.turns
    assert all(r.error is None and r.sent_s is not None for r in replies)
    assert not lost.is_held and 0 < lost.turns < 20


def metric(url: str, name: str) -> float:
    page = httpx.get(f"{url}/metrics", timeout=60).text
    return sum(map(float, re.findall(rf"^vllm:{name}\{{.*\}} (\S+)", page, re.MULTILINE)))


def until_running(url: str, count: int) -> None:
    deadline = time.monotonic() + 60
    while metric(url, "num_requests_running") != count:
        assert time.monotonic() < deadline, httpx.get(f"{url}/metrics").text
        time.sleep(0.02)


@pytest.mark.live
def test_what_they_answer_is_captured_and_replayed(
    colocation: Colocation, tmp_path: Path, generator
) -> None:
    colocation.prepare(job(tmp_path, 0.02))
    engines = [e for e in engines_of(colocation.setting.services) if e.name in ("llm", "stt")]
    servers = {e.name: colocation.servers.lineup.server(e.name) for e in engines}
    llm, stt = servers["llm"], servers["stt"]
    service = colocation.setting.services["llm"]
    assert isinstance(service, LlmService)
    tokens_before = metric(llm.url, "generation_tokens_total")
    with capturing(tmp_path, llm, stt, forks=False) as capture:
        ports = dict(zip(("llm", "stt"), (r.port for r in capture.routes), strict=True))
        through = {e.name: e.endpoint(f"http://127.0.0.1:{ports[e.name]}") for e in engines}
        window = drive(generator, through, CLIPS, SENT, timeout_s=120, broken=lambda: None)
        assert [r.error for r in window.replies] == [None] * 4
        target = f"{capture.url}{COMPLETIONS}"
        body = {**ASKED, "model": service.served_model}
        usage = httpx.post(target, json=body, timeout=120).json()["usage"]
        stream = {**body, "stream": True}
        assert "[DONE]" in httpx.post(target, json=stream, timeout=120).text
        endless = {**stream, "prompt": [400] * 10, "max_tokens": 1000}
        with httpx.stream("POST", target, json=endless, timeout=120) as answer:
            assert answer.status_code == 200
            lines = answer.iter_lines()  # which hangs up once it is forgotten
            next(lines)
            until_running(llm.url, 1)
        until_running(llm.url, 0)  # it has seen that the client hung up
        assert metric(llm.url, "generation_tokens_total") - tokens_before < 1000
    what_else = (capture.lines, capture.missing, capture.tally.unreadable)
    assert capture.missing == {} and capture.tally.unreadable == 0, what_else
    lengths = Counter(
        (x["prompt_tokens"], x["output_tokens"]) for x in capture.lines if x["service"] == "llm"
    )
    assert lengths[40, 8] == lengths[64, 12] == 1
    assert lengths[usage["prompt_tokens"], 16] == 2, lengths  # one told, one counted
    assert len(capture.lines) == 7 and capture.tally.left == 1
    requests = captured(capture.path, CLIPS, 1024)
    assert [r.clip for r in requests if r.service == "stt"] == [2, 5]
    direct = {e.name: e.endpoint(servers[e.name].url) for e in engines}
    few = [r for r in requests if r.prompt_tokens != 10]  # without the one that was hung up on
    replies = drive(generator, direct, CLIPS, few, timeout_s=120, broken=lambda: None).replies
    assert [r.error for r in replies] == [None] * 6
    assert Counter(r.tokens for r in replies) == {None: 2, 8: 1, 12: 1, 16: 2}


@pytest.mark.live
def test_they_are_measured_and_moved_and_what_gets_no_memory_is_named(
    colocation: Colocation, tmp_path: Path
) -> None:
    outcome = colocation.measure(job(tmp_path / "int8", 0.02))
    moved = colocation.measure(job(tmp_path / "float32", 0.02, "cpu/float32")).measurement
    failures = {
        "embed": colocation.measure(job(tmp_path / "none", 0.995, "cpu/float32")).failure,
        "chat": colocation.measure(job(tmp_path / "long", 0.02, context=20_000_000)).failure,
    }
    m = outcome.measurement
    assert m is not None, outcome.failure or outcome.setup_error
    assert set(m.services) == {"llm", "stt", "embed", "chat"}
    workload = colocation.setting.workload
    assert m.failure_rate == 0 and m.services["embed"].offered == round(workload.window_s)
    assert all(s.latency_p95_ms and s.memory_mib for s in m.services.values())
    llm, chat = m.services["llm"], m.services["chat"]
    assert chat.offered == round(workload.window_s)
    assert chat.ttft_p95_ms and chat.tpot_p95_ms and chat.ttft_p95_ms < chat.latency_p95_ms
    assert (chat.kv_tokens, chat.max_model_len) == (4096, 2048) and chat.kv_peak_pct is not None
    assert llm.kv_tokens not in (None, 4096) and llm.max_model_len == 1024
    sent = [json.loads(line) for line in (tmp_path / "int8/replies.jsonl").read_text().splitlines()]
    assert {r["tokens"] for r in sent if r["service"] == "chat"} == {12}
    assert moved is not None and moved.services["stt"].start_s
    kept = {name: moved.services[name].start_s for name in ("llm", "embed", "chat")}
    assert kept == {"llm": 0, "embed": 0, "chat": 0}
    for victim, failure in failures.items():
        assert failure is not None and failure.diagnosis is not None
        assert failure.diagnosis.victim == victim
    failure = failures["embed"]
    assert failure is not None and failure.diagnosis and failure.diagnosis.deficit_mib
    failure = failures["chat"]
    assert failure is not None and failure.diagnosis is not None
    assert failure.diagnosis.failure_class == "oom_startup"  # its engine's log says so
