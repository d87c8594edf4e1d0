"""Whatever a server says, a caller has an answer of our types or none, in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from fake_servers.odd_servers import ANSWERS, BODIES, always, listening, saying, streaming, whole

from objectives.apis.api import Endpoint, parsed
from objectives.apis.completions import Completions
from objectives.apis.pages import page_data
from objectives.apis.short_requests import page
from objectives.apis.transcription import Transcriptions
from objectives.capture import reader
from objectives.engines.faster_whisper.stt import FasterWhisper
from objectives.engines.vllm.kv_cache import kv_cache, usage
from objectives.engines.vllm.llm import Vllm
from objectives.load.replies import Fault, Reply
from objectives.load.sending.client import Connection
from objectives.load.sending.plan import plain_reply
from objectives.services import LlmService, SttService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request
from study.deploy.config.deployed import Probe
from study.deploy.health.probe import send_probe
from study.deploy.targets import wait_ready

WITHIN_S = 0.5
CLIP = Clip("a.wav", b"RIFF", 1.0, ())
LLM, STT = Vllm(LlmService(command="any", served_model="model")), FasterWhisper(SttService())
SOUND = b'{"choices": [{"text": "yes"}], "text": "yes", "usage": {"completion_tokens": 1}}'
Urls = dict[str, str]


@pytest.fixture(scope="module")
def odd() -> Iterator[Urls]:
    answers = {name: always(sent) for name, sent in ANSWERS.items()}
    answers |= {f"says {name}": saying(body) for name, body in BODIES.items()}
    answers |= {f"streams {name}": streaming(body) for name, body in BODIES.items()}
    with listening(answers) as urls:
        yield urls


@pytest.fixture(scope="module")
def sound() -> Iterator[Urls]:
    with listening({"says": saying(SOUND), "streams": streaming(SOUND)}) as urls:
        yield urls


def at_once(ask: Callable[[str], object], urls: Urls) -> dict[str, object]:
    """Ask each server; no answer takes long, so that none waits long for another."""
    with ThreadPoolExecutor(16) as pool:
        return dict(zip(urls, pool.map(ask, urls.values()), strict=True))


def short(odd: Urls) -> Urls:
    return {name: url for name, url in odd.items() if not name.startswith("streams")}


def test_only_a_sound_answer_is_ready(odd: Urls, sound: Urls) -> None:
    for engine in (LLM, STT):
        ready = at_once(lambda url, e=engine: e.is_ready(url, WITHIN_S, CLIP), short(odd))
        assert not any(ready.values()), ready
        assert engine.is_ready(sound["says"], 60.0, CLIP)


async def exchanged(url: str, timeout_s: float) -> list[Reply]:
    ends = {
        "llm": Endpoint(url, Completions("model", None)),
        "stt": Endpoint(url, Transcriptions()),
    }
    with Connection(ends, [CLIP], timeout_s) as connection:
        requests = Request("llm", 0.0, 3, 4), Request("stt", 0.0, clip=0)
        return [
            await connection.exchange(r, time.monotonic(), connection.prepared(r)) for r in requests
        ]


def replies_of(urls: Urls, timeout_s: float) -> dict[str, list[Reply]]:
    async def all_of_them() -> list[list[Reply]]:
        return await asyncio.gather(*(exchanged(url, timeout_s) for url in urls.values()))

    return dict(zip(urls, asyncio.run(all_of_them()), strict=True))


def test_a_reply_is_sound_or_fails_in_words_that_a_file_takes(odd: Urls, sound: Urls) -> None:
    for llm, stt in replies_of(odd, WITHIN_S).values():
        for reply in (llm, stt):
            assert reply.error is not None
            line = json.dumps(plain_reply(reply), ensure_ascii=False)
            assert line.encode().decode().isprintable()
    replies = replies_of(sound, 60.0)
    assert (replies["streams"][0].error, replies["streams"][0].tokens) == (None, 1)
    assert (replies["says"][1].error, replies["says"][1].text) == (None, "yes")


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("streams text list", Fault.MALFORMED),
        ("streams number", Fault.MALFORMED),
        ("streams error", Fault.STREAM),
        ("a line without end", Fault.MALFORMED),
        ("a header without end", Fault.PROTOCOL),
        ("a trailer without end", Fault.PROTOCOL),
        ("an extension without end", Fault.PROTOCOL),
        ("another protocol from here", Fault.PROTOCOL),
        ("two lengths", Fault.PROTOCOL),
        ("a refusal without end", Fault.STATUS),
    ],
)
def test_a_fault_has_its_name_long_before_its_time_is_over(
    odd: Urls, name: str, fault: Fault
) -> None:
    llm, _ = replies_of({name: odd[name]}, 60.0)[name]
    assert llm.error is not None
    assert llm.error.fault is fault


def test_a_probe_is_answered_or_says_why_not(odd: Urls, sound: Urls) -> None:
    for probe in (Probe(kind="completion"), Probe(kind="transcription")):

        def asked(url: str, timeout_s: float = WITHIN_S, probe: Probe = probe) -> str | None:
            result = send_probe(replace(probe, url=f"{url}/v1", model="m", timeout_s=timeout_s))
            assert result is not None
            return result.error

        for error in at_once(asked, short(odd)).values():
            assert error is not None
            assert str(error).encode().decode().isprintable()
        assert asked(sound["says"], 60.0) is None


def test_a_page_of_metrics_is_read_as_far_as_it_is_one(odd: Urls) -> None:
    def told(url: str) -> object:
        text = page(f"{url}/metrics", within_s=WITHIN_S) or ""
        return usage(text), kv_cache(text, "")

    assert set(map(str, at_once(told, short(odd)).values())) == {
        "((None, None), KvCache(tokens=None, mib=None, max_model_len=None))"
    }


def test_tokens_are_counted_by_a_sound_answer_alone(
    odd: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "PAUSES", 0.0)
    monkeypatch.setattr(reader, "TOKENIZE_S", WITHIN_S)

    def counted(url: str) -> int | None:
        host, port = url.removeprefix("http://").split(":")
        return reader.Tokenizer(host, int(port)).count({"prompt": "a"})

    assert set(at_once(counted, short(odd)).values()) == {None}
    with listening({"7": saying(b'{"count": 7}'), "-7": saying(b'{"count": -7}')}) as urls:
        assert at_once(counted, urls) == {"7": 7, "-7": None}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_unit_waits_for_200_alone(odd: Urls, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    says = {"drips a body", "drips chunks", "a body without end", "a line without end"}
    says |= {"a trailer without end", "an extension without end", "too short", "two lengths"}
    says |= {"a length below zero", "no chunk", "packed"}
    monkeypatch.setattr(wait_ready, "LOOK_S", 20.0 if name in says else 0.2)
    assert wait_ready.says_200(f"{odd[name]}/health") is (name in says)


def test_a_transcript_is_kept_as_a_file_can_spell_it() -> None:
    async def heard(url: str) -> Reply:
        with Connection({"stt": Endpoint(url, Transcriptions())}, [CLIP], 20.0) as connection:
            request = Request("stt", 0.0, clip=0)
            return await connection.exchange(request, 0.0, connection.prepared(request))

    body = b'{"text": "a\\ud800 \\u0000b \\u06cc\\u200c\\u062f"}'
    with listening({"stt": always((whole(body), b""))}) as urls:
        reply = asyncio.run(heard(urls["stt"]))
    assert reply.text == "a?  b \u06cc\u200c\u062f"


def test_no_text_of_an_answer_is_one_that_no_file_could_spell() -> None:
    escaped = r'{"version": "1\u001b[2J\ud800", "\udfff": [["\u0000"], 5]}'
    clean = {"version": "1 [2J?", "?": [[" "], 5]}
    assert parsed(escaped.encode()) == clean
    assert parsed(escaped.encode("utf-16")) == clean
    assert page_data(escaped) == clean
    raw = '{"version": "\ud800\x9b", "text": "\xe9"}'.encode(errors="surrogatepass")
    assert parsed(raw) == {"version": "? ", "text": "\xe9"}
