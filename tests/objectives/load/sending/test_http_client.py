"""The generator's HTTP reads answers cut anywhere and keeps connections."""

import asyncio
import json
import time

import pytest
from fake_servers.fake_http import free_port
from fake_servers.odd_servers import conversing

from objectives.apis.api import Endpoint
from objectives.apis.completions import Stream, StreamError
from objectives.apis.transcription import Transcriptions
from objectives.load.sending.client import Connection
from objectives.load.sending.http_client import (
    ConnectError,
    HttpLine,
    HttpLines,
    RemoteProtocolError,
)
from objectives.rig.stub_llm import CHUNK, HEAD, TOKEN, event
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

USAGE = json.dumps({**CHUNK, "choices": [], "usage": {"completion_tokens": 3}})
DEAD = json.dumps({"error": {"message": "EngineCore encountered an issue", "code": 500}})


def sse(*data, end="\n\n"):
    return "".join(f"data: {d}{end}" for d in data).encode()


def fed(body, size):
    stream = Stream()
    for i in range(0, len(body), size):
        stream.feed(body[i : i + size])
    return stream


@pytest.mark.parametrize("size", [1, 7, 100, 241, 10_000])
@pytest.mark.parametrize("end", ["\n\n", "\r\n\r\n"])
def test_a_stream_says_the_same_wherever_it_is_cut(size, end):
    stream = fed(
        sse(json.dumps(CHUNK), json.dumps(CHUNK), json.dumps(CHUNK), USAGE, "[DONE]", end=end), size
    )
    assert stream.tokens == 3
    assert stream.first_s is not None


@pytest.mark.parametrize("size", [1, 50, 10_000])
@pytest.mark.parametrize("before", [0, 1, 3])
def test_an_error_is_seen_wherever_in_the_stream_it_comes(size, before):
    with pytest.raises(StreamError, match=r"error in the stream: .*EngineCore encountered"):
        fed(sse(*[json.dumps(CHUNK)] * before, DEAD, "[DONE]"), size)


def test_text_that_speaks_of_errors_and_counts_is_no_error():
    piece = {"choices": [{"text": '{"error": 1, "completion_tokens": 9} and data: {"error": 2}'}]}
    stream = fed(sse(json.dumps(piece), json.dumps(piece), USAGE), 10_000)
    assert stream.tokens == 3


def test_the_first_content_is_timed_when_it_comes_and_comments_are_none():
    stream = Stream()
    stream.feed(b": ping\n\n" + sse(json.dumps({"choices": []}), "[DONE]"))
    assert stream.first_s is None
    before = time.monotonic()
    stream.feed(sse(json.dumps(CHUNK)))
    first_s = stream.first_s
    assert before <= first_s <= time.monotonic()
    stream.feed(sse(json.dumps(CHUNK), USAGE))
    assert stream.first_s == first_s


def test_a_line_that_is_no_json_is_refused():
    with pytest.raises(ValueError, match="Expecting"):
        fed(b"data: {not json}\n\n", 100)


NO_COUNTS = ["7", [7], {}, None, True, 1.5, -1, 10**4000]


@pytest.mark.parametrize("usage", [{"completion_tokens": n} for n in NO_COUNTS] + ["x", [1], 5])
def test_a_usage_without_a_count_of_tokens_is_refused(usage):
    with pytest.raises(ValueError, match="completion_tokens is no count in the usage"):
        fed(sse(json.dumps({**CHUNK, "completion_tokens": 0, "usage": usage})), 10_000)


@pytest.mark.parametrize("count", ["1e400", "NaN", "[" * 100_000])
def test_a_count_that_json_cannot_hold_is_refused(count):
    with pytest.raises(ValueError, match=r"no count in the usage|nests too deep"):
        fed(b'data: {"usage": {"completion_tokens": %s}}\n' % count.encode(), 1 << 20)


@pytest.mark.parametrize(
    "body", ["", "[]", "5", '"text"', "{}", '{"text": null}', '{"text": 5}', "[" * 100_000]
)
def test_an_answer_without_words_is_refused(body):
    words = Transcriptions().reading()
    words.feed(body.encode())
    with pytest.raises(ValueError, match=r"Expecting|no text|nests too deep"):
        words.answer()


def run(client, url):
    return asyncio.run(asyncio.wait_for(client(url), 20))


async def asked(url):
    parts, line = [], HttpLine(url)
    try:
        return await line.ask("GET", "/", parts.append), b"".join(parts), line.refusal
    finally:
        line.close()


WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def test_a_body_without_a_length_ends_with_its_connection():
    with conversing(b"HTTP/1.1 200 OK\r\n\r\nhi", then_closes=True) as (url, _):
        assert run(asked, url) == (200, b"hi", b"")


def test_another_status_is_told_with_what_it_says():
    with conversing(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nlate") as (url, _):
        assert run(asked, url) == (503, b"", b"late")


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhi", "peer closed connection"),
        (HEAD + TOKEN, "peer closed connection"),
        (b"", "peer closed connection"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "not HTTP"),
    ],
    ids=["too short", "no last chunk", "nothing", "another protocol"],
)
def test_an_answer_that_is_not_whole_is_an_error(answer, refusal):
    with (
        conversing(answer, then_closes=True) as (url, _),
        pytest.raises(RemoteProtocolError, match=refusal),
    ):
        run(asked, url)


def test_nobody_there_is_told_as_such():
    with pytest.raises(ConnectError, match="Connect call failed"):
        run(asked, f"http://127.0.0.1:{free_port()}")


def test_what_the_reader_of_a_body_raises_ends_the_answer():
    def refuse(part):
        raise StreamError("enough")

    async def client(url):
        line = HttpLine(url)
        try:
            await line.ask("GET", "/", refuse)
        finally:
            line.close()

    # the connection stays open: the error alone must end it
    with conversing(HEAD + event(DEAD)) as (url, _), pytest.raises(StreamError, match="enough"):
        run(client, url)


async def twice(url, pause_s=0.0):
    lines, answers = HttpLines(), []
    for _ in range(2):
        parts, line = [], lines.line(url)
        answers.append((await line.ask("GET", "/", parts.append), b"".join(parts)))
        lines.give_back(line)
        await asyncio.sleep(pause_s)
    lines.close()
    return answers


def test_a_connection_serves_the_next_request():
    with conversing(WHOLE, WHOLE) as (url, seen):
        assert run(twice, url) == [(200, b"hi")] * 2
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("answer", "then_closes"),
    [
        (WHOLE, True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", False),
    ],
    ids=["the peer hung up", "the peer said it would"],
)
def test_a_connection_that_has_ended_serves_no_other(answer, then_closes):
    with conversing(answer, then_closes=then_closes) as (url, seen):
        assert run(lambda url: twice(url, 0.1), url) == [(200, b"hi")] * 2
    assert len(seen) == 2


def test_a_connection_that_idled_too_long_serves_no_other(monkeypatch):
    monkeypatch.setattr("objectives.load.sending.http_client.IDLE_S", 0.05)
    with conversing(WHOLE, WHOLE) as (url, seen):
        assert run(lambda url: twice(url, 0.1), url) == [(200, b"hi")] * 2
    assert len(seen) == 2


async def three_requests(url):
    """Send three requests, each as soon as the one before is answered."""
    api = Transcriptions()
    clip = Clip("a.wav", b"sound", 1.0, ())
    with Connection({"stt": Endpoint(url, api)}, (clip,), 5.0) as connection:
        request = Request("stt", 0.0)
        body = connection.prepared(request)
        replies = [await connection.exchange(request, time.monotonic(), body) for _ in range(3)]
    return [r.error for r in replies]


HEARD = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"text":"hi"}'


def test_a_request_on_a_connection_that_the_peer_had_ended_is_sent_on_a_new_one():
    with conversing(HEARD, b"", then_closes=True) as (url, seen):
        assert run(three_requests, url) == [None] * 3
    assert len(seen) == 3


def test_one_that_was_begun_to_be_answered_has_failed():
    with conversing(HEARD, b"HTTP/1.1 200 OK\r\n", then_closes=True) as (url, _):
        first, second, third = run(three_requests, url)
    assert (first, third) == (None, None)
    assert second is not None and "without sending a complete answer" in second.text
