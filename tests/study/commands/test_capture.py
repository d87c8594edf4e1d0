"""The command captures until a signal, and says what is wrong before it takes any traffic."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from fake_servers.fake_http import free_port
from fake_servers.fake_upstream import COMPLETIONS, Upstream, serving_upstream
from made.live_factories import live
from processes.commands import ROOT, run_script
from processes.forks import Forked, script

from objectives.traffic.clips import read_clips
from study.spec.load import load
from study.spec.traces.captured_requests import captured

ASKED = {"model": "m", "prompt": "one two", "max_tokens": 3}
CLIPS = read_clips("assistant")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


@contextmanager
def running(
    *arguments: object, is_fork: bool = True
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run the command; it is there with its first lines once it takes traffic."""
    start: Any = Forked if is_fork else subprocess.Popen
    real = [sys.executable, str(ROOT / "scripts/capture.py"), *map(str, arguments)]
    line = script("capture.py", *arguments) if is_fork else real
    servers = sum(a in ("--llm", "--stt") for a in arguments)
    with start(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        try:
            yield process, [process.stdout.readline() for _ in range(servers)]
        finally:
            process.kill()


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_a_spec_takes_the_lines_that_it_prints(
    number: signal.Signals, upstream: Upstream, tmp_path: Path
) -> None:
    trace, port = tmp_path / "an evening.jsonl", free_port()
    options, is_fork = ("--llm", upstream.url, "--llm-port", port), number is not signal.SIGINT
    with running(trace, *options, is_fork=is_fork) as (process, opening):
        assert opening == [f"http://127.0.0.1:{port} takes the place of {upstream.url}\n"]
        for mood in ("", "stream"):
            httpx.post(f"http://127.0.0.1:{port}{COMPLETIONS}?mood={mood}", json=ASKED)
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "2 LLM requests" in out and "counted in the pieces" in out
    assert len(captured(trace, CLIPS, None)) == 2
    _, _, lines = out.partition("in the spec:\n")
    path = live(tmp_path)
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | yaml.safe_load(lines)))
    ran = run_script("run_study.py", path, "--dry-run", "--out", tmp_path / "out")
    assert (ran.returncode, ran.stderr) == (0, "") and "an evening.jsonl" in ran.stdout
    spec = load(path)
    assert spec.workload.trace is not None and len(spec.workload.trace.arrivals) == 2
    assert [held_out.name for held_out in spec.workloads] == ["an-evening"]


def test_it_ends_by_itself_and_a_mirror_is_beside_the_server(
    upstream: Upstream, tmp_path: Path
) -> None:
    trace, port = tmp_path / "trace.jsonl", free_port()
    with serving_upstream() as second:
        options = ("--llm-port", port, "--mirror", second.url, "--for", 1.5)
        with running(trace, "--llm", upstream.url, *options) as (process, _):
            httpx.post(f"http://127.0.0.1:{port}{COMPLETIONS}?mood=stream", json=ASKED)
            out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "1 LLM request to both" in out and "95% answered within" in out


def test_a_killed_one_leaves_what_can_be_read(upstream: Upstream, tmp_path: Path) -> None:
    trace, port = tmp_path / "trace.jsonl", free_port()
    with running(trace, "--llm", upstream.url, "--llm-port", port) as (process, _):
        with httpx.Client() as client:
            for _ in range(5):
                client.post(f"http://127.0.0.1:{port}{COMPLETIONS}", json=ASKED)
        while trace.read_text().count("\n") < 5:
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert len(captured(trace, CLIPS, None)) == 5


def test_where_nothing_came_no_trace_is_left(upstream: Upstream, tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    with running(trace, "--stt", upstream.url, "--stt-port", free_port(), "--for", 0.1) as (run, _):
        out, errors = run.communicate(timeout=60)
    assert (run.returncode, errors) == (0, "")
    assert out == f"no request was captured, and {trace} is not written\n"
    assert not trace.exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://127.0.0.1:1", "write plain http"),
        ("127.0.0.1:8000", "write plain http"),
        ("http://", "write plain http"),
        ("http://user:key@127.0.0.1:1", "write plain http"),
        ("http://127.0.0.1:99999", "Port out of range"),
        ("http://127.0.0.1:x", "write such as"),
        ("http://[::1", "write such as"),
        ("http://127.0.0.1:8000/v1", "leave /v1 out"),
        ("http://127.0.0.1:8000/#a", "leave"),
        ("http://a\nb:1", "--llm"),
    ],
)
def test_a_url_that_is_none_is_one_line(url: str, message: str, tmp_path: Path) -> None:
    ran = run_script("capture.py", tmp_path / "t.jsonl", "--llm", url)
    assert (ran.returncode in (2, 3), ran.stdout, len(ran.stderr.splitlines())) == (True, "", 1)
    assert message in ran.stderr and not (tmp_path / "t.jsonl").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "name a server with --llm or --stt"),
        (("--llm", "URL", "--for", "0"), "--for must be"),
        (("--llm", "URL", "--for", "nan"), "--for must be"),
        (("--llm", "URL", "--llm-port", "70000"), "--llm-port must be"),
        (("--llm", "URL", "--llm-port", "SAME"), "is the server's own"),
        (("--llm", "URL", "--mirror", "URL"), "is the server itself"),
        (("--llm", "URL", "--mirror", "stt=URL"), "llm=URL or stt=URL"),
        (("--llm", "URL", "--mirror", "URL", "--mirror", "URL"), "once for each"),
        (("--llm", "URL", "--stt", "URL", "--mirror", "URL"), "llm=URL or stt=URL"),
    ],
)
def test_a_wrong_option_is_one_line(
    options: tuple[str, ...], message: str, upstream: Upstream, tmp_path: Path
) -> None:
    port = str(upstream.server_port)
    words = [o.replace("URL", upstream.url).replace("SAME", port) for o in options]
    ran = run_script("capture.py", tmp_path / "t.jsonl", *words)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert message in ran.stderr


def test_a_server_that_is_not_there_is_told_before_anything(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    ran = run_script("capture.py", tmp_path / "t.jsonl", "--llm", url)
    assert ran.returncode == 3 and "Connection refused" in ran.stderr and url in ran.stderr
    assert not (tmp_path / "t.jsonl").exists()


def test_a_port_that_is_taken_is_told(upstream: Upstream, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        words = ("--llm", upstream.url, "--llm-port", port)
        ran = run_script("capture.py", tmp_path / "t.jsonl", *words)
    assert ran.returncode == 3 and f"port {port} cannot be used" in ran.stderr
    assert not (tmp_path / "t.jsonl").exists()


def test_a_trace_that_is_there_stays(upstream: Upstream, tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text(json.dumps(ASKED))
    ran = run_script("capture.py", trace, "--llm", upstream.url, "--llm-port", free_port())
    assert ran.returncode == 2 and "is there already" in ran.stderr
    assert json.loads(trace.read_text()) == ASKED
