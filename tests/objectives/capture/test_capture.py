"""A capture's trace has the arrivals and lengths of what passed, and tells what it has not."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
from fake_servers.fake_upstream import CHAT, COMPLETIONS, SECRET, SPEECH, Upstream, serving_upstream
from rigs.captures import capturing

from objectives.capture import exchange, trace_file, watch
from objectives.capture.lengths import Lengths
from objectives.capture.trace_file import TraceWriter
from objectives.errors import BadInput
from objectives.traffic.clips import read_clips
from study.spec.traces import captured_requests
from study.spec.traces.captured_requests import captured

CLIPS = read_clips("assistant")
ASKED = {"model": "m", "prompt": f"{SECRET} and more", "max_tokens": 4}
STREAM = {**ASKED, "stream": True}
TOLD = {**STREAM, "stream_options": {"include_usage": True}}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


def say(url: str, clip: int, **headers: str) -> httpx.Response:
    sound = {"file": ("a.flac", CLIPS[clip].audio, "audio/flac")}
    return httpx.post(f"{url}{SPEECH}", files=sound, data={"model": "w"}, headers=headers)


def test_a_trace_has_arrivals_and_lengths_of_both_services(
    upstream: Upstream, tmp_path: Path
) -> None:
    with serving_upstream() as speech, capturing(tmp_path, upstream, speech) as capture:
        llm, stt = (f"http://127.0.0.1:{route.port}" for route in capture.routes)
        with httpx.Client() as client:
            client.post(f"{llm}{COMPLETIONS}", json=ASKED)
            time.sleep(0.2)
            client.post(f"{llm}{COMPLETIONS}?mood=stream", json=TOLD)
            client.get(f"{llm}/metrics")
            client.post(f"{llm}/v1/embeddings", json=ASKED)
        say(stt, 3)
    first, second, third = capture.lines
    assert first == {"at_s": 0.0, "service": "llm", "prompt_tokens": 7, "output_tokens": 5}
    assert second["at_s"] >= 0.2 and second["output_tokens"] == 4
    assert third.keys() == {"at_s", "service", "seconds"} and third["service"] == "stt"
    assert third["seconds"] == pytest.approx(CLIPS[3].seconds, abs=0.03)
    assert (capture.tally.others, capture.missing) == (2, {})
    requests = captured(capture.path, CLIPS, None)
    assert [r.service for r in requests] == ["llm", "llm", "stt"]
    assert CLIPS[requests[2].clip].seconds == pytest.approx(CLIPS[3].seconds, abs=0.05)


def test_no_content_is_written_or_shown(
    upstream: Upstream, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with capturing(tmp_path, upstream) as capture:
        for target, request in (
            (COMPLETIONS, ASKED),
            (f"{COMPLETIONS}?mood=stream", STREAM),
            (f"{COMPLETIONS}?mood=not-json", ASKED),
            (f"{CHAT}?mood=stream", {**STREAM, "messages": [{"role": "user", "content": SECRET}]}),
        ):
            httpx.post(f"{capture.url}{target}", json=request, headers={"X-Turn-Id": SECRET})
        httpx.post(f"{capture.url}{SPEECH}", files={"file": SECRET.encode()})
    assert len(capture.lines) == 3
    everything = "".join([*capture.sentences, *capfd.readouterr(), capture.path.read_text()])
    assert not any(word in everything for word in ("words", "user", "more"))
    assert list(tmp_path.iterdir()) == [capture.path]


def test_a_stream_without_a_count_is_counted_and_told_to_be(
    upstream: Upstream, tmp_path: Path
) -> None:
    with capturing(tmp_path, upstream) as capture:
        httpx.post(f"{capture.url}{COMPLETIONS}?mood=stream", json=STREAM)
        messages = [{"role": "user", "content": "one two"}]
        httpx.post(f"{capture.url}{CHAT}?mood=no-done", json={**STREAM, "messages": messages})
    lengths = [(line["prompt_tokens"], line["output_tokens"]) for line in capture.lines]
    assert sorted(lengths) == [(2, 4), (7, 4)]
    assert all(one.in_pieces and one.by_tokenize for one in capture.tally.kept["completions"])


def test_what_else_is_printed_in_the_reader_is_no_answer(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('hello'); print(5); print({}, flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with capturing(tmp_path, upstream, forks=False) as capture:
        httpx.post(f"{capture.url}{COMPLETIONS}?mood=stream", json=STREAM)
    assert len(capture.lines) == 1


@pytest.mark.parametrize(
    ("mood", "body", "missing"),
    [
        ("refuse", ASKED, "refused"),
        ("broken", ASKED, "failed"),
        ("dies", STREAM, "failed"),
        ("resets", STREAM, "failed"),
        ("error", STREAM, "failed"),
        ("dies-early", ASKED, "failed"),
        ("not-json", ASKED, "unreadable"),
        ("not-utf8", ASKED, "unreadable"),
        ("not-utf8-stream", STREAM, "unreadable"),
        ("", {**ASKED, "n": 3}, "several"),
    ],
)
def test_what_has_no_length_is_counted_with_its_reason(
    mood: str, body: dict[str, object], missing: str, upstream: Upstream, tmp_path: Path
) -> None:
    with capturing(tmp_path, upstream) as capture:
        try:
            httpx.post(f"{capture.url}{COMPLETIONS}?mood={mood}", json=body)
        except httpx.HTTPError:
            assert mood in ("dies", "resets")
    assert capture.missing == {("completions", missing): 1}
    assert not capture.path.exists()  # a trace without a line is none


def test_an_answer_whose_client_hung_up_is_as_long_as_it_was(
    upstream: Upstream, tmp_path: Path
) -> None:
    with capturing(tmp_path, upstream) as capture:
        target = f"{capture.url}{COMPLETIONS}?mood=slow"
        with httpx.stream("POST", target, json=STREAM) as answer:
            pieces = sum(1 for _ in zip(range(4), answer.iter_lines(), strict=False))
        assert pieces == 4 and upstream.hung_up.wait(20)
        with httpx.Client(timeout=0.3) as client, pytest.raises(httpx.TimeoutException):
            client.post(f"{capture.url}{COMPLETIONS}?mood=silent", json=ASKED)
    (line,) = capture.lines
    assert line["output_tokens"] == 2 and capture.tally.left == 1
    assert capture.missing == {("completions", "left"): 1}


def test_a_turn_is_what_a_header_says(upstream: Upstream, tmp_path: Path) -> None:
    with capturing(tmp_path, upstream) as capture:
        say(capture.url, 1, **{"X-Turn-Id": "a"})
        say(capture.url, 2, **{"X-Turn-Id": "b"})
        for turn in ("b", "c", ""):
            httpx.post(f"{capture.url}{COMPLETIONS}", json=ASKED, headers={"X-Turn-Id": turn})
    turns = [(line["service"], line.get("turn")) for line in capture.lines]
    assert sorted(turns, key=str) == [
        ("llm", 0),
        ("llm", None),
        ("llm", None),
        ("stt", 0),
        ("stt", None),
    ]
    assert {r.turn for r in captured(capture.path, CLIPS, None)} == {None, 0}


def test_clients_at_the_same_time_do_not_mix(upstream: Upstream, tmp_path: Path) -> None:
    def ask(tokens: int) -> bool:
        request = {**TOLD, "max_tokens": tokens}
        answer = httpx.post(f"{capture.url}{COMPLETIONS}?mood=stream", json=request, timeout=30)
        return answer.text.count('"text"') == tokens

    with capturing(tmp_path, upstream) as capture, ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(1, 21)))
    assert sorted(line["output_tokens"] for line in capture.lines) == list(range(1, 21))


def test_what_is_too_large_passes_and_is_told(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MOST_BYTES", 1000)
    with capturing(tmp_path, upstream) as capture:
        request = {**ASKED, "prompt": "x" * 2000}
        assert httpx.post(f"{capture.url}{COMPLETIONS}", json=request).status_code == 200
        httpx.post(f"{capture.url}{COMPLETIONS}", json=ASKED)
    assert capture.missing == {("completions", "too large"): 1} and len(capture.lines) == 1


def test_a_kept_connection_is_read_however_much_it_has_carried(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MOST_HEAD_BYTES", 2000)
    with capturing(tmp_path, upstream) as capture, httpx.Client() as client:
        for _ in range(20):
            client.get(f"{capture.url}/metrics/{'x' * 200}")
        client.post(f"{capture.url}{COMPLETIONS}", json=ASKED)
    assert (capture.tally.others, capture.tally.unreadable, len(capture.lines)) == (20, 0, 1)


def test_a_head_without_end_passes_and_is_not_kept(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MOST_HEAD_BYTES", 2000)
    with (
        capturing(tmp_path, upstream) as capture,
        socket.create_connection(("127.0.0.1", capture.routes[0].port), 20) as client,
    ):
        client.sendall(b"GET /metrics HTTP/1.1\r\nX-Long: " + b"y" * 3000)
        while not capture.tally.unreadable:
            time.sleep(0.01)
        client.sendall(b"\r\nConnection: close\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert upstream.requests[-1][2]["X-Long"] == "y" * 3000
    assert capture.tally.others == 0


def test_a_reader_that_dies_takes_no_traffic_with_it(upstream: Upstream, tmp_path: Path) -> None:
    def reader() -> psutil.Process:
        while True:
            for child in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):  # others of this worker end meanwhile
                    if "objectives.capture.reader" in child.cmdline():
                        return child
            time.sleep(0.02)

    with capturing(tmp_path, upstream, forks=False) as capture:
        first = reader()
        os.kill(first.pid, signal.SIGKILL)
        first.wait(20)
        while reader().pid == first.pid:
            time.sleep(0.02)
        while not capture.path.stat().st_size:  # until the next one has begun
            answer = httpx.post(f"{capture.url}{COMPLETIONS}", json=ASKED)
            assert answer.status_code == 200
            time.sleep(0.05)
    assert capture.lines
    assert set(capture.missing) <= {("completions", "unread")}


def test_a_trace_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        TraceWriter(path, print).open()
    with pytest.raises(BadInput, match="No such file"):
        TraceWriter(tmp_path / "no" / "trace.jsonl", print).open()
    assert path.read_text() == "mine"


def test_a_full_disk_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    trace = TraceWriter(tmp_path / "trace.jsonl", lines.append)
    trace.open()
    assert trace.add("completions", 0.0, Lengths(3, 4), "")
    write = os.write
    monkeypatch.setattr(trace_file.os, "write", lambda fd, data: write(fd, data[:10]))
    trace.add("completions", 1.0, Lengths(3, 4), "")
    monkeypatch.undo()
    assert not trace.add("completions", 2.0, Lengths(3, 4), "")
    trace.close()
    assert len(captured(trace.path, CLIPS, None)) == 1
    assert len(lines) == 1 and "the disk is full" in lines[0]


def test_a_trace_holds_no_more_than_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_readers = (captured_requests.MAX_REQUESTS, captured_requests.MAX_S)
    assert of_readers == (trace_file.MOST_LINES, trace_file.MOST_S)
    trace = TraceWriter(tmp_path / "trace.jsonl", print)
    trace.open()
    trace.begin(100.0)
    assert trace.add("transcription", 100.0, Lengths(seconds=2.0), "")
    assert not trace.add("transcription", 100.0 + trace_file.MOST_S + 1, Lengths(seconds=2.0), "")
    monkeypatch.setattr(trace_file, "MOST_LINES", 1)
    assert not trace.add("transcription", 101.0, Lengths(seconds=2.0), "")
    trace.close()
    assert json.loads(trace.path.read_text())["seconds"] == 2.0


def test_half_a_turn_is_written_once_the_other_half_is_late(tmp_path: Path) -> None:
    trace = TraceWriter(tmp_path / "trace.jsonl", print)
    trace.open()
    trace.begin(0.0)
    trace.add("transcription", 0.0, Lengths(seconds=2.0), "a")
    assert trace.path.read_text() == ""
    trace.add("completions", trace_file.TURN_S + 1, Lengths(3, 4), "")
    assert len(captured(trace.path, CLIPS, None)) == 2  # the file is whole while it is open
    trace.close()


def test_a_trace_of_nothing_is_none(upstream: Upstream, tmp_path: Path) -> None:
    with capturing(tmp_path, upstream) as capture:
        pass
    assert not capture.tally.kept and not capture.path.exists()
