"""A mirror gets copies of what is asked; whatever it does with them, nobody waits for it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fake_servers.fake_upstream import CHAT, COMPLETIONS, SPEECH, Upstream, serving_upstream
from rigs.captures import Capture, capturing

from objectives.capture import mirror as mirrors
from objectives.capture.exchange import BodyRoom, Exchange
from objectives.capture.mirror import copy_of

ASKED = {"model": "m", "prompt": "one two", "max_tokens": 3}
STREAM = {**ASKED, "stream": True}


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


@pytest.fixture
def second() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


def until_all_are_compared(capture: Capture, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(capture.tally.pairs) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_copy_has_the_method_the_target_the_headers_and_the_body(
    upstream: Upstream, second: Upstream, tmp_path: Path
) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b'{"max_tokens"', b": 3}")

    key = {"Authorization": "Bearer k"}
    with capturing(tmp_path, upstream, mirror=second) as capture:
        httpx.post(f"{capture.url}{COMPLETIONS}?mood=stream", json=STREAM, headers=key)
        httpx.post(f"{capture.url}{CHAT}", content=pieces(), headers=key)
        httpx.post(f"{capture.url}{SPEECH}", files={"file": b"sound"}, headers=key)
        httpx.get(f"{capture.url}/metrics")
        httpx.post(f"{capture.url}/sleep")
        until_all_are_compared(capture, 3)
    own = {"Host", "Connection", "Content-Length", "Transfer-Encoding"}
    requests = [
        [
            (
                method,
                path,
                {k: v for k, v in headers.items() if k not in {n.lower() for n in own} | own},
                body,
            )
            for method, path, headers, body in server.requests
            if path.startswith("/v1")
        ]
        for server in (upstream, second)
    ]
    assert requests[0] == requests[1] and len(requests[0]) == 3
    assert len(second.requests) == 3
    assert all("Bearer k" in headers.values() for _, _, headers, _ in second.requests)


def test_both_are_timed_alike(upstream: Upstream, second: Upstream, tmp_path: Path) -> None:
    second.answering.clear()
    with capturing(tmp_path, upstream, mirror=second) as capture:
        httpx.post(f"{capture.url}{COMPLETIONS}?mood=stream", json=STREAM)
        while not second.requests:
            time.sleep(0.01)
        come_s = time.monotonic()
        assert not capture.tally.pairs  # the client does not wait for the mirror
        time.sleep(0.3)
        late_ms = (time.monotonic() - come_s) * 1000
        second.answering.set()
        until_all_are_compared(capture, 1)
    (pair,) = capture.tally.pairs
    assert pair.api == "completions" and 0 < pair.server.latency_ms < pair.mirror.latency_ms
    assert pair.server.first_ms and pair.mirror.first_ms and pair.mirror.first_ms > late_ms
    assert len(capture.lines) == 1  # the mirror's answers are no traffic


@pytest.mark.parametrize("mood", ["broken", "dies", "resets", "error", "dies-early"])
def test_a_failure_of_either_is_counted_as_one(
    mood: str, upstream: Upstream, second: Upstream, tmp_path: Path
) -> None:
    with capturing(tmp_path, upstream, mirror=second) as capture:
        try:
            httpx.post(f"{capture.url}{COMPLETIONS}?mood={mood}", json=STREAM)
        except httpx.HTTPError:
            assert mood in ("dies", "resets")
        until_all_are_compared(capture, 1)
    (pair,) = capture.tally.pairs
    assert pair.server.has_failed and pair.mirror.has_failed


def test_a_mirror_that_is_gone_is_told_and_nothing_else(
    upstream: Upstream, second: Upstream, tmp_path: Path
) -> None:
    with capturing(tmp_path, upstream, mirror=second) as capture:
        second.shutdown()
        second.server_close()
        assert httpx.post(f"{capture.url}{COMPLETIONS}", json=ASKED).status_code == 200
        until_all_are_compared(capture, 1)
    (pair,) = capture.tally.pairs
    assert math.isinf(pair.mirror.latency_ms) and not pair.server.has_failed
    assert len(capture.lines) == 1


def test_a_mirror_that_is_behind_gets_fewer_copies(
    upstream: Upstream, second: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "MOST_COPIES", 2)
    second.answering.clear()
    with capturing(tmp_path, upstream, mirror=second) as capture:
        for _ in range(6):  # before the second has answered any: it is not waited for
            assert httpx.post(f"{capture.url}{COMPLETIONS}", json=ASKED).status_code == 200
            assert not capture.tally.pairs
        second.answering.set()
    assert (capture.tally.dropped, len(capture.tally.pairs)) == (4, 2)
    assert len(capture.lines) == 6


def test_a_client_that_hung_up_is_not_compared(
    upstream: Upstream, second: Upstream, tmp_path: Path
) -> None:
    with capturing(tmp_path, upstream, mirror=second) as capture:
        second.mood = ""
        with httpx.Client(timeout=0.2) as client, pytest.raises(httpx.TimeoutException):
            client.post(f"{capture.url}{COMPLETIONS}?mood=silent", json=ASKED)
        assert upstream.hung_up.wait(20)
    assert (capture.tally.left_out, capture.tally.pairs) == (1, [])


def test_a_copy_has_one_length_and_one_host() -> None:
    exchange = Exchange(0.0, BodyRoom())
    exchange.headers = [
        (b"Host", b"a"),
        (b"transfer-encoding", b"chunked"),
        (b"CONTENT-LENGTH", b"9"),
        (b"Expect", b"100-continue"),
        (b"X-Own", b"1"),
    ]
    exchange.begin("POST", COMPLETIONS)
    exchange.request.add(json.dumps(ASKED).encode())
    head, _, body = copy_of(exchange, "b:1").partition(b"\r\n\r\n")
    assert json.loads(body) == ASKED
    assert head.split(b"\r\n") == [
        b"POST /v1/completions HTTP/1.1",
        b"Host: b:1",
        b"Connection: close",
        b"Content-Length: %d" % len(body),
        b"X-Own: 1",
    ]
