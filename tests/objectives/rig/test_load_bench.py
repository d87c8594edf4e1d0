"""Our generator's answers are whole on the stub server, and the bench's table has medians."""

import json
import subprocess
import sys
import urllib.request

import pytest
from made.factories import endpoints_of
from processes.commands import run_script

from objectives.load.open_loop import drive
from objectives.rig.generators import Sent
from objectives.rig.load_bench import compare_generators, run_table, save
from objectives.traffic.workload import Request


@pytest.fixture
def stub():
    argv = [sys.executable, "-m", "objectives.rig.stub_llm", "--interval-ms", "5"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.terminate()


def arrivals(url):
    with urllib.request.urlopen(f"{url}/arrivals") as answer:
        return json.load(answer)


def test_every_request_is_answered_whole_by_the_stub_which_keeps_its_arrival(generator, stub):
    requests = [Request("llm", 0.01 * n, 300, 7, seed=n) for n in range(20)]
    window = drive(
        generator, endpoints_of(stub, stub, 2048), [], requests, timeout_s=20, broken=lambda: None
    )
    assert {(r.error, r.tokens) for r in window.replies} == {(None, 7)}
    arrived = arrivals(stub)
    sent = sorted(r.sent_s for r in window.replies)
    assert len(arrived) == 20 and all(a >= s for a, s in zip(sorted(arrived), sent, strict=True))
    assert arrivals(stub) == []
    assert (window.kv_peak_pct, window.preemptions) == ({}, {})


def test_tokens_keep_their_pace_and_one_connection_serves_several_requests(generator, stub):
    requests = [Request("llm", 0.3 * n, 8, 10, seed=n) for n in range(2)]
    window = drive(
        generator, endpoints_of(stub, stub, None), [], requests, timeout_s=20, broken=lambda: None
    )
    for r in window.replies:
        assert r.end_s - r.sent_s >= 9 * 0.005 * 0.9


RUNS = [
    Sent("ours", 200, 1000, 0.03, 0, (0.0, 0.2, 0.9)),
    Sent("ours", 200, 1000, 0.05, 1, (0.0, 0.4, 2.9)),
    Sent("ours", 200, 1000, 0.90, 0, (0.0, 0.3, 1.0)),
    Sent("vllm", 200, 1000, 0.10, 0, (0.0, 1.5, 9.0)),
    Sent("sleep", 200, 1000, 0.0, 0, (0.0, 0.1, 0.5)),
]


def test_the_table_has_medians_and_the_ratio_of_them(tmp_path):
    head, ours, vllm, sleep = run_table(RUNS)
    assert ours == ("200", "ours", "50.0", "0.50", "0.30", "1.00", "1.00", "1")
    assert vllm[2:4] == ("100.0", "1.00")
    assert sleep[2:4] == ("-", "-")
    assert len(head) == len(ours)
    save(RUNS, tmp_path / "runs.jsonl")
    assert [
        json.loads(line)["generator"] for line in (tmp_path / "runs.jsonl").read_text().splitlines()
    ][:2] == ["ours"] * 2


def test_without_vllm_there_is_no_ratio(tmp_path):
    steps = compare_generators(
        [6], 1, hold_s=1.5, vllm=None, tokenizer=tmp_path, tell=lambda _: None
    )
    _, ours, sleep = run_table(steps)
    assert ours[:2] == ("6", "ours") and float(ours[2]) > 0 and ours[3] == "-" and ours[-1] == "0"
    assert sleep[1:4] == ("sleep", "-", "-")


def test_where_vllm_is_missing_it_says_how_to_install_it(tmp_path):
    ran = run_script("bench_load.py", "--vllm", tmp_path / "python", "--repeats", 1, cwd=tmp_path)
    assert ran.returncode == 3 and "install_cpu_servers.py" in ran.stderr


@pytest.mark.live
def test_both_generators_answer_everything_on_the_stub(pytestconfig):
    servers = pytestconfig.rootpath / ".servers"
    vllm, tokenizer = servers / "vllm/bin/python", servers / "models/llm"
    steps = compare_generators(
        [5], 1, hold_s=3.0, vllm=vllm, tokenizer=tokenizer, tell=lambda _: None
    )
    assert {s.generator for s in steps} == {"ours", "vllm", "sleep"}
    assert all(s.failed == 0 and len(s.late_ms) == s.tokens // 64 > 0 for s in steps)
    assert all(s.cpu_s > 0 for s in steps)
