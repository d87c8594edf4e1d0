"""What passes a splice is not changed, whatever it is, and each side sees the other hang up."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from fake_servers.fake_upstream import CHAT, COMPLETIONS, SPEECH, WAIT_S, Upstream, serving_upstream
from rigs.captures import Capture, capturing

from objectives.capture import exchange

ASKED = {"model": "m", "prompt": "one two three", "max_tokens": 4, "stream": True}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with serving_upstream() as server:
        yield server


@pytest.fixture(scope="module")
def capture(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Capture]:
    with capturing(tmp_path_factory.mktemp("capture"), upstream) as running:
        yield running


@pytest.fixture(autouse=True)
def anew(upstream: Upstream) -> None:
    upstream.requests.clear()
    upstream.hung_up.clear()
    upstream.gate.set()


def post(target: str, body: object, *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [f"POST {target} HTTP/1.1", "Host: x", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + content


def exchanged(url: str, *sent: bytes) -> bytes:
    """Return all that comes back on one connection, whose requests go out in pieces."""
    _, _, where = url.partition("://")
    host, _, port = where.partition(":")
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as connection:
        for data in sent:
            connection.sendall(data)
        with suppress(OSError):  # a reset may come first, which the next read tells
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
        return b"".join(parts)


CLOSE = "Connection: close"
CHUNKS = b'5\r\n{"max\r\n8\r\n_tokens"\r\n4\r\n: 3}\r\n0\r\n\r\n'
AS_THEY_COME = {
    "a page": (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n",),
    "a head": (b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n",),
    "a head and a page": (
        b"HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    "other methods": (
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"DELETE /x HTTP/1.1\r\nHost: x\r\n\r\n",
    ),
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n",),
    "a body until the end": (b"GET /x?mood=until-close HTTP/1.0\r\n\r\n",),
    "an answer": (post(COMPLETIONS, ASKED),),
    "a stream": (post(f"{COMPLETIONS}?mood=stream", ASKED, CLOSE),),
    "a chat": (post(f"{CHAT}?mood=stream", {**ASKED, "messages": []}, CLOSE),),
    "a stream without an end": (post(f"{COMPLETIONS}?mood=no-done", ASKED, CLOSE),),
    "a stream that is cut": (post(f"{COMPLETIONS}?mood=dies", ASKED),),
    "an error in a stream": (post(f"{COMPLETIONS}?mood=error", ASKED, CLOSE),),
    "bytes that are no text": (post(f"{COMPLETIONS}?mood=not-utf8-stream", ASKED, CLOSE),),
    "a refusal": (post(f"{COMPLETIONS}?mood=refuse", ASKED),),
    "a failure": (post(f"{COMPLETIONS}?mood=broken", ASKED),),
    "two requests at once": (post(COMPLETIONS, ASKED) + post(f"{COMPLETIONS}?mood=refuse", ASKED),),
    "a form in pieces": (post(SPEECH, b"x" * 10)[:40], post(SPEECH, b"x" * 10)[40:]),
    "chunks": (
        f"POST {COMPLETIONS}?mood=stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".encode(),
        CHUNKS,
    ),
    "an expectation": (
        post(COMPLETIONS, b"{}", "Expect: 100-continue")[:-2],
        b"{}",
    ),
    "what is not HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",),
    "another protocol": (
        b"GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"\x81\x02hi",
    ),
}


@pytest.mark.parametrize("case", AS_THEY_COME)
def test_both_sides_see_the_bytes_that_they_would_see_without_it(
    case: str, upstream: Upstream, capture: Capture
) -> None:
    plain = exchanged(upstream.url, *AS_THEY_COME[case])
    direct = [r for r in upstream.requests if r[1] != "/tokenize"]
    upstream.requests.clear()
    through = exchanged(capture.url, *AS_THEY_COME[case])
    assert through == plain != b""
    assert [r for r in upstream.requests if r[1] != "/tokenize"] == direct


def test_a_piece_of_a_stream_is_there_before_the_next_one_is_sent(
    upstream: Upstream, capture: Capture
) -> None:
    upstream.gate.clear()
    with httpx.stream("POST", f"{capture.url}{COMPLETIONS}?mood=stream", json=ASKED) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")  # the server waits at its gate
        upstream.gate.set()
        assert sum(line.startswith("data: {") for line in lines) == 3


@pytest.mark.parametrize("mood", ["slow", "silent"])
def test_the_server_sees_that_a_client_hung_up(
    mood: str, upstream: Upstream, capture: Capture
) -> None:
    host, port = "127.0.0.1", capture.routes[0].port
    with socket.create_connection((host, port), timeout=WAIT_S) as connection:
        connection.sendall(post(f"{COMPLETIONS}?mood={mood}", ASKED))
        if mood == "slow":
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        else:
            while not upstream.requests:
                threading.Event().wait(0.01)
    assert upstream.hung_up.wait(WAIT_S)


def test_a_reset_of_the_server_is_one_for_the_client(capture: Capture) -> None:
    with pytest.raises(ConnectionResetError):
        exchanged(capture.url, post(f"{COMPLETIONS}?mood=resets", ASKED))


def test_a_client_that_does_not_read_holds_the_server_back(
    upstream: Upstream, capture: Capture
) -> None:
    with socket.create_connection(("127.0.0.1", capture.routes[0].port)) as connection:
        connection.sendall(b"GET /x?mood=flood HTTP/1.1\r\n\r\n")
        assert upstream.hung_up.wait(WAIT_S)  # it gives up, as nobody reads
        assert 0 < upstream.sent < 2**25


def test_an_upload_of_any_size_passes_and_little_of_it_is_kept(
    upstream: Upstream, capture: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "MOST_BYTES", 2**20)
    body = bytes(2**16) * 640
    answer = httpx.post(f"{capture.url}{COMPLETIONS}", content=body, timeout=WAIT_S)
    assert answer.status_code == 200 and upstream.requests[-1][3] == body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_where_no_server_listens_any_more_a_sentence_says_so(method: str, tmp_path: Path) -> None:
    with serving_upstream() as upstream, capturing(tmp_path, upstream) as capture:
        upstream.shutdown()
        upstream.server_close()
        answer = httpx.request(method, f"{capture.url}{COMPLETIONS}", timeout=WAIT_S)
        assert answer.status_code == 502
        if method != "HEAD":
            message = answer.json()["error"]["message"]
            assert upstream.url in message and "Connection refused" in message
    assert capture.tally.missing.total() == (method == "POST")


def test_a_server_that_hangs_up_before_it_answers_is_named(capture: Capture) -> None:
    answer = httpx.post(f"{capture.url}{COMPLETIONS}?mood=dies-early", json=ASKED)
    assert answer.status_code == 502 and "hung up before" in answer.json()["error"]["message"]


def test_a_large_upload_to_no_server_still_gets_its_sentence(tmp_path: Path) -> None:
    with serving_upstream() as upstream, capturing(tmp_path, upstream) as capture:
        upstream.shutdown()
        upstream.server_close()
        target = f"{capture.url}{COMPLETIONS}"
        answer = httpx.post(target, content=bytes(2**23), timeout=WAIT_S)
        assert answer.status_code == 502


def test_it_listens_on_this_machine_alone(capture: Capture) -> None:
    port = f"{capture.routes[0].port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()
    listening = [line.split()[1] for line in lines[1:] if line.split()[3] == "0A"]
    assert [a for a in listening if a.endswith(f":{port}")] == [f"0100007F:{port}"]


def test_open_answers_end_before_the_capture_does(upstream: Upstream, tmp_path: Path) -> None:
    with capturing(tmp_path, upstream) as capture:
        upstream.gate.clear()
        target = f"{capture.url}{COMPLETIONS}?mood=stream"
        with httpx.Client() as idle, httpx.stream("POST", target, json=ASKED) as answer:
            assert idle.get(f"{capture.url}/health").status_code == 200  # and stays connected
            lines = answer.iter_lines()
            next(lines)
            capture.end()
            threading.Event().wait(0.3)
            upstream.gate.set()
            assert sum(line.startswith("data: {") for line in lines) == 3
    assert capture.missing == {}
    assert [line["output_tokens"] for line in capture.lines] == [4]
    assert any("still carry answers" in sentence for sentence in capture.sentences)
