"""Lengths are what servers told, or what can be counted, and where neither is so there are none."""

from __future__ import annotations

import gzip
import io
import json
import wave
from typing import Any

import pytest

from objectives.apis.transcription import FORM, transcription
from objectives.capture.lengths import Lengths, Missing, sound_lengths, text_lengths
from objectives.traffic.clips import read_clips

CLIPS = read_clips("assistant")
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
ASKED = {"model": "m", "prompt": "one two three", "max_tokens": 9}
TEXT = {"choices": [{"index": 0, "text": " a"}]}
ROLE = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
WORD = {"choices": [{"delta": {"content": " a"}}]}
THOUGHT = {"choices": [{"delta": {"reasoning_content": " hm"}}]}
CALL = {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": "{"}}]}}]}
LAST = {"choices": [{"delta": {}, "finish_reason": "stop"}]}


def told(question: Any, answer: Any, *, encoding: str = "", tokens: int | None = 3) -> Lengths:
    """Return the lengths of a list of events, or of another answer; /tokenize tells `tokens`."""
    is_stream = isinstance(answer, list)
    body = b"".join(b"data: %s\n\n" % json.dumps(e).encode() for e in answer) if is_stream else b""
    body = body or (answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    request = question if isinstance(question, bytes) else json.dumps(question).encode()
    return text_lengths(
        request,
        gzip.compress(body) if encoding == "gzip" else body,
        is_stream=is_stream,
        encoding=encoding,
        tokenize=lambda _: tokens,
    )


@pytest.mark.parametrize("encoding", ["", "identity", "gzip"])
@pytest.mark.parametrize(
    "answer", [{"choices": [], "usage": USAGE}, [TEXT, TEXT, {"choices": [], "usage": USAGE}]]
)
def test_what_the_server_counted_is_taken(answer: Any, encoding: str) -> None:
    assert told(ASKED, answer, encoding=encoding) == Lengths(7, 5)


def test_the_last_of_several_counts_is_taken() -> None:
    early = {**TEXT, "usage": {**USAGE, "completion_tokens": 1}}
    assert told(ASKED, [early, {**TEXT, "usage": None}, {**TEXT, "usage": USAGE}]) == Lengths(7, 5)


@pytest.mark.parametrize(
    ("events", "pieces"),
    [([TEXT, TEXT], 2), ([ROLE, WORD, THOUGHT, CALL, LAST], 3), ([ROLE, WORD, LAST], 1)],
)
def test_without_a_count_pieces_with_content_are_counted(events: Any, pieces: int) -> None:
    lengths = told(ASKED, events)
    assert lengths == Lengths(3, pieces, in_pieces=True, by_tokenize=True)


def test_a_prompt_of_token_ids_needs_no_question() -> None:
    for prompt in ([1, 2, 3, 4], [[1, 2, 3, 4]]):
        assert told({**ASKED, "prompt": prompt}, [TEXT], tokens=None).prompt_tokens == 4


@pytest.mark.parametrize(
    ("prompt_request", "kept"),
    [
        (ASKED, {"model": "m", "prompt": "one two three"}),
        ({**ASKED, "prompt": ["one"]}, {"model": "m", "prompt": "one"}),
        (
            {"model": "m", "messages": [], "tools": [], "temperature": 1, "user": "u"},
            {"model": "m", "messages": [], "tools": []},
        ),
    ],
)
def test_the_server_is_asked_with_what_decides_the_length(prompt_request: Any, kept: Any) -> None:
    questions = []
    text_lengths(
        json.dumps(prompt_request).encode(),
        b'data: {"choices": [{"text": "a"}]}\n\n',
        is_stream=True,
        tokenize=lambda question: questions.append(question) or 3,
    )
    assert questions == [kept]


@pytest.mark.parametrize(
    ("question", "answer", "missing"),
    [
        (ASKED, {"choices": []}, Missing.UNCOUNTED),
        (ASKED, {"usage": {"prompt_tokens": 2, "completion_tokens": True}}, Missing.UNCOUNTED),
        (ASKED, {"usage": {"prompt_tokens": 3, "completion_tokens": 0}}, Missing.UNCOUNTED),
        (ASKED, [ROLE, LAST], Missing.UNCOUNTED),
        (ASKED, b"{", Missing.UNREADABLE),
        (ASKED, b"[1]", Missing.UNREADABLE),
        (ASKED, b"[" * 100_000, Missing.UNREADABLE),
        (ASKED, b'{"text": "\xff"}', Missing.UNREADABLE),
        (b"\xff", {"usage": USAGE}, Missing.UNREADABLE),
        (b"[]", {"usage": USAGE}, Missing.UNREADABLE),
        ({**ASKED, "n": 2}, {"usage": USAGE}, Missing.SEVERAL),
        ({**ASKED, "prompt": ["a", "b"]}, {"usage": USAGE}, Missing.SEVERAL),
        ({**ASKED, "prompt": [[1], [2]]}, {"usage": USAGE}, Missing.SEVERAL),
    ],
)
def test_what_cannot_be_counted_is_not_invented(
    question: Any, answer: Any, missing: Missing
) -> None:
    assert told(question, answer) == Lengths(missing=missing)


@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens"])
def test_a_count_that_no_trace_takes_is_none(name: str) -> None:
    usage = {**USAGE, name: 10**7 + 1}
    assert told(ASKED, {"usage": usage}, tokens=None).missing is Missing.UNCOUNTED


def test_a_prompt_that_nobody_counts_has_no_length() -> None:
    assert told(ASKED, [TEXT], tokens=None).missing is Missing.UNCOUNTED


@pytest.mark.parametrize("encoding", ["br", "gzip"])
def test_an_encoding_that_is_not_what_it_says_is_unreadable(encoding: str) -> None:
    lengths = text_lengths(
        json.dumps(ASKED).encode(),
        b"\x01\x02",
        is_stream=False,
        encoding=encoding,
        tokenize=lambda _: 3,
    )
    assert lengths.missing is Missing.UNREADABLE


def test_a_stream_that_was_cut_counts_as_far_as_it_came() -> None:
    whole = b'data: {"choices": [{"text": "a"}]}\n\n'
    for end in range(len(whole)):
        lengths = text_lengths(
            json.dumps(ASKED).encode(),
            whole + whole[:end],
            is_stream=True,
            tokenize=lambda _: 3,
        )
        assert lengths.output_tokens == (2 if end == len(whole) - 1 else 1)


def form(sound: bytes, *, name: str = "file", boundary: str = "xyz") -> tuple[bytes, str]:
    head = f'Content-Disposition: form-data; name="{name}"; filename="file"\r\n\r\n'
    other = f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper\r\n'
    body = f"{other}--{boundary}\r\n{head}".encode() + sound + f"\r\n--{boundary}--\r\n".encode()
    return body, f'multipart/form-data; boundary="{boundary}"'


def wav(seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(2 * round(16_000 * seconds)))
    return file.getvalue()


def test_a_clip_is_as_long_as_its_manifest_says() -> None:
    for clip in CLIPS[:8]:
        seconds = sound_lengths(transcription(clip), FORM).seconds
        assert seconds == pytest.approx(clip.seconds, abs=0.03)


@pytest.mark.parametrize("seconds", [0.5, 3.25, 75.0])
def test_a_recording_is_as_long_as_it_is(seconds: float) -> None:
    assert sound_lengths(*form(wav(seconds))).seconds == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        form(b"no sound"),
        form(b""),
        form(wav(0)),
        form(wav(1), name="sound"),
        (form(wav(1))[0], "multipart/form-data"),
        (form(wav(1))[0], "multipart/form-data; boundary=another"),
        (b"", "application/json"),
        (form(wav(1))[0][:60], form(b"")[1]),
    ],
)
def test_sound_that_cannot_be_read_has_no_length(body: bytes, content_type: str) -> None:
    assert sound_lengths(body, content_type) == Lengths(missing=Missing.UNREADABLE)
