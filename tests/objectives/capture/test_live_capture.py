"""What real vLLM and the real speech server answered is captured, and replayed on them."""

from __future__ import annotations

import re
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import httpx
import pytest
from captures import COMPLETIONS, capturing

from objectives.devices.open_device import open_device
from objectives.engines.engine import engines_of
from objectives.load.open_loop import drive
from objectives.servers.process import serving
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request
from study.spec.load import load
from study.spec.setting import setting_of
from study.spec.traces.captured_requests import captured

ROOT = Path(__file__).resolve().parents[3]
CLIPS = read_clips("assistant")
ASKED = {"prompt": "<t400><t401><t402> " * 10, "max_tokens": 16, "ignore_eos": True}
SENT = [
    Request("stt", 0.0, clip=2, turn=0),
    Request("llm", 0.0, 40, 8, seed=1, turn=0),
    Request("llm", 0.3, 64, 12, seed=2),
    Request("stt", 0.6, clip=5),
]


def metric(url: str, name: str) -> float:
    page = httpx.get(f"{url}/metrics").text
    return sum(map(float, re.findall(rf"^vllm:{name}\{{.*\}} (\S+)", page, re.MULTILINE)))


def until_running(url: str, count: int) -> None:
    deadline = time.monotonic() + 20
    while metric(url, "num_requests_running") != count:
        assert time.monotonic() < deadline, httpx.get(f"{url}/metrics").text
        time.sleep(0.02)


@pytest.mark.live
def test_real_answers_are_captured_and_replayed(
    generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    spec = load(ROOT / "tests/specs/ci_live.yaml")
    device, setting = open_device("cpu"), setting_of(spec)
    with ExitStack() as stack:
        engines, servers = engines_of(setting.services), {}
        for engine in engines:
            command = engine.command(spec.baseline, device.server_env)
            ready = partial(engine.is_ready, clip=CLIPS[0])
            log = tmp_path / f"{engine.name}.log"
            server = serving(engine.name, command, log=log, ready=ready)
            servers[engine.name] = stack.enter_context(server)
        llm, stt = servers["llm"], servers["stt"]
        model = setting.services["llm"].served_model
        with capturing(tmp_path, llm, stt) as capture:
            ports = dict(zip(("llm", "stt"), (r.port for r in capture.routes), strict=True))
            through = {e.name: e.endpoint(f"http://127.0.0.1:{ports[e.name]}") for e in engines}
            window = drive(generator, through, CLIPS, SENT, timeout_s=60, broken=lambda: None)
            assert [r.error for r in window.replies] == [None] * 4
            target = f"{capture.url}{COMPLETIONS}"
            usage = httpx.post(target, json={**ASKED, "model": model}, timeout=60).json()["usage"]
            stream = {**ASKED, "model": model, "stream": True}
            assert "[DONE]" in httpx.post(target, json=stream, timeout=60).text
            endless = {**stream, "prompt": [400] * 10, "max_tokens": 1000}
            with httpx.stream("POST", target, json=endless, timeout=60) as answer:
                assert answer.status_code == 200
                lines = answer.iter_lines()  # which hangs up once it is forgotten
                next(lines)
                until_running(llm.url, 1)
            until_running(llm.url, 0)  # it has seen that the client hung up
            assert metric(llm.url, "generation_tokens_total") < 1000
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
        replies = drive(generator, direct, CLIPS, few, timeout_s=60, broken=lambda: None).replies
        assert [r.error for r in replies] == [None] * 6
        assert Counter(r.tokens for r in replies) == {None: 2, 8: 1, 12: 1, 16: 2}
