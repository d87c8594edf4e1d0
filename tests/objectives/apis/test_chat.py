"""A chat is read like a completion: when it begins, how long it is, and whatever is none."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from objectives.apis.api import Endpoint
from objectives.apis.chat import Chat, answered
from objectives.apis.completions import Stream, StreamError
from objectives.apis.transcription import Transcriptions
from objectives.load.sending.plan import Plan
from objectives.traffic.workload import Request

BEGIN = {"delta": {"role": "assistant", "content": ""}}
USAGE = {"choices": [], "usage": {"completion_tokens": 3}}


def delta(**part: Any) -> dict[str, Any]:
    return {"choices": [{"delta": part}]}


def fed(*events: Any, stream: Stream | None = None) -> Stream:
    stream = stream or Chat("m").reading()
    for event in events:
        stream.feed(f"data: {json.dumps(event)}\n\n".encode())
    return stream


def test_a_request_is_one_message_as_long_as_it_should_be_and_unlike_others() -> None:
    bodies = [json.loads(Chat("m").body(Request("c", 0.0, 12, 5, seed=n), ())) for n in (1, 2)]
    [[first], [second]] = (body["messages"] for body in bodies)
    assert first["role"] == "user" and len(first["content"].split()) == 12
    assert first != second
    assert bodies[0]["max_tokens"] == 5 and bodies[0]["stream"] and bodies[0]["ignore_eos"]


@pytest.mark.parametrize("api", [Chat("m"), Transcriptions("de", "m")])
def test_it_crosses_to_what_sends_it(api: Chat | Transcriptions) -> None:
    plan = Plan({"c": Endpoint("http://x", api)}, [], 1.0)
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))).endpoints["c"].api == api


def test_whose_turn_it_is_to_speak_is_no_content() -> None:
    """Some servers say so long before the model has written anything."""
    stream = fed({"choices": [BEGIN]}, delta(role="assistant", content=None), delta())
    assert stream.first_s is None
    before_s = time.monotonic()
    fed(delta(content="a"), delta(content="b"), USAGE, stream=stream)
    answer = stream.answer()
    assert answer.first_s is not None and answer.first_s >= before_s
    assert (answer.tokens, answer.is_empty) == (3, False)  # a usage says that this is all


@pytest.mark.parametrize(
    "part",
    [
        {"role": "assistant", "content": "a"},  # Ollama says it each time
        {"content": ""},  # half a letter
        {"content": None, "reasoning_content": "hm"},
        {"reasoning": "hm"},
    ],
)
def test_whatever_the_model_writes_is_content(part: dict[str, Any]) -> None:
    assert fed({"choices": [BEGIN]}, delta(**part)).first_s is not None


@pytest.mark.parametrize(
    "event",
    [
        {"choices": 3},
        {"choices": [3]},
        {"choices": [{"delta": 3}]},
        {"choices": [{"delta": {"content": 3}}]},
        {"choices": [{"delta": {"content": [{"text": "a"}]}}]},
        [],
        {"usage": {"completion_tokens": "3"}},
    ],
)
def test_what_is_no_chat_is_refused(event: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        fed(event)


def test_an_error_in_the_stream_is_one_and_an_answer_of_nothing_is_empty() -> None:
    with pytest.raises(StreamError):
        fed(delta(content="a"), {"error": {"message": "EngineCore died"}})
    assert fed({"choices": [BEGIN]}, {"choices": []}).answer().is_empty
    assert fed(delta(content=""), {"usage": {"completion_tokens": 0}}).answer().is_empty
    ends = {"choices": [{"delta": {}, "finish_reason": "length"}]}
    assert fed(delta(content="a"), ends).answer().tokens is None  # a server that counts none


@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b"data: [DONE]", b"\n", b""])
def test_a_stream_that_ends_in_the_middle_is_no_answer(end: bytes) -> None:
    """Its server hung up as if that were all: it is no answer of few tokens."""
    for stream in (Chat("m").reading(), Stream()):
        part = {"delta": {"content": "a"}, "text": "a", "finish_reason": None}
        fed({"choices": [part]}, {"choices": [part]}, stream=stream).feed(end)
        if b"DONE" in end:
            assert not stream.answer().is_empty
        else:
            with pytest.raises(ValueError, match="ends in the middle"):
                stream.answer()


@pytest.mark.parametrize(
    ("message", "text"), [({"content": "yes"}, "yes"), ({"reasoning": "hm"}, "hm"), ({}, None)]
)
def test_a_whole_answer_has_a_text(message: dict[str, Any], text: str | None) -> None:
    body = json.dumps({"choices": [{"message": message}]}).encode()
    if text is not None:
        assert answered(body) == text
        return
    for odd in (body, b"[]", b"{}", b'{"choices": []}', b'{"error": "no chat template"}'):
        with pytest.raises(ValueError, match="no answer in"):
            answered(odd)
