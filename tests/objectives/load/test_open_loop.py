"""The load generator sends on time to a fake server, and tells failures that end a window."""

import itertools
from dataclasses import replace

import pytest
from made.factories import endpoints_of

from objectives.capacity.ramp_figures import goodput_pct
from objectives.load.figures_of_replies import summarise, turn_waits_ms
from objectives.load.open_loop import drive, one_by_one
from objectives.load.replies import Fault, Reply, RequestError, Symptom
from objectives.measurement import INFINITE
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request

CLIPS = read_clips("assistant")
LLM = Request("llm", 0.0, prompt_tokens=12, output_tokens=5, seed=3)
STT = Request("stt", 0.0, clip=1)
ENDED = Symptom("the llm server ended under load")


def at(request, *times):
    kind, tokens = request.service, request.prompt_tokens
    return [
        Request(kind, t, tokens, request.output_tokens, request.clip, seed)
        for seed, t in enumerate(times)
    ]


def ends(server, *, vocabulary=2048, metrics_path="/metrics", stt=None):
    return endpoints_of(server.url, (stt or server).url, vocabulary, metrics_path)


@pytest.fixture
def load(generator):
    def load(endpoints, requests, *, timeout_s=20.0, broken=lambda: None):
        return drive(generator, endpoints, CLIPS, requests, timeout_s=timeout_s, broken=broken)

    return load


@pytest.mark.parametrize("vocabulary", [2048, None])
def test_both_services_answer_token_ids_and_words(load, fake, vocabulary):
    window = load(ends(fake(), vocabulary=vocabulary), [*at(LLM, 0.0, 0.1), *at(STT, 0.0, 0.05)])
    assert window.aborted is None
    assert [r.error for r in window.replies] == [None] * 4
    llm = [r for r in window.replies if r.service == "llm"]
    stt = [r for r in window.replies if r.service == "stt"]
    assert [r.tokens for r in llm] == [5, 5]
    assert all(r.scheduled_s <= r.sent_s < r.first_s <= r.end_s for r in llm)
    assert [(r.clip, r.text, r.audio_s) for r in stt] == [
        (1, "Set a timer for twelve minutes.", CLIPS[1].seconds)
    ] * 2


def test_requests_leave_on_schedule_and_waiting_counts(load, fake):
    """Each answer takes 0.4 s: the second request leaves before the first answer, and waits."""
    window = load(ends(fake("serial", "--delay", 0.4)), at(STT, 0.0, 0.1))
    first, second = sorted(window.replies, key=lambda r: r.scheduled_s)
    assert second.scheduled_s - first.scheduled_s == pytest.approx(0.1)
    assert second.sent_s < first.end_s
    assert second.latency_ms >= 690


def turn(number, at_s):
    return [replace(STT, at_s=at_s, turn=number), replace(LLM, at_s=at_s, turn=number)]


def test_the_prompt_of_a_turn_leaves_when_its_clip_has_been_answered(load, fake):
    requests = [*turn(4, 0.0), *turn(5, 0.1), *at(LLM, 0.05)]
    window = load(ends(fake("slow", "--delay", 0.3)), requests)
    assert [r.error for r in window.replies] == [None] * 5
    waits_ms = []
    for number in (4, 5):
        clip, prompt = sorted(
            (r for r in window.replies if r.turn == number), key=lambda r: r.scheduled_s
        )
        assert (clip.service, prompt.service) == ("stt", "llm")
        assert clip.end_s == prompt.scheduled_s <= prompt.sent_s
        assert prompt.ttft_ms < 1000 * (prompt.first_s - clip.scheduled_s)
        waits_ms.append(1000 * (prompt.first_s - clip.scheduled_s))
    assert turn_waits_ms(window.replies) == pytest.approx(waits_ms)
    figures = summarise(window.replies)
    assert figures["turn_ttft_ms"] == pytest.approx(min(waits_ms))
    assert figures["turn_ttft_p95_ms"] == pytest.approx(max(waits_ms))
    assert max(waits_ms) > 300
    assert figures["llm_offered"] == 3


def test_a_turn_ends_with_its_first_request_that_fails_and_waits_for_ever(load, fake):
    window = load(ends(fake("empty")), [*turn(1, 0.0), *turn(2, 0.0)])
    assert [r.service for r in window.replies] == ["stt", "stt"]
    assert summarise(window.replies)["turn_ttft_ms"] == INFINITE
    assert goodput_pct(((r.turn, r) for r in window.replies), ()) == 0


def test_a_window_without_turns_has_no_time_of_a_turn(load, fake):
    figures = summarise(load(ends(fake()), [*at(LLM, 0.0), *at(STT, 0.0)]).replies)
    assert (figures["turn_ttft_ms"], figures["turn_ttft_p95_ms"]) == (None, None)


@pytest.mark.parametrize("mood", ["silent", "empty"])
@pytest.mark.parametrize("request_", [LLM, STT], ids=["llm", "stt"])
def test_no_answer_and_an_empty_one_are_infinite_but_end_no_window(load, fake, mood, request_):
    window = load(ends(fake(mood), metrics_path=None), at(request_, 0.0, 0.1), timeout_s=0.5)
    assert window.aborted is None
    assert [r.latency_ms for r in window.replies] == [INFINITE, INFINITE]
    assert {r.error for r in window.replies} == {
        RequestError(Fault.TIMEOUT, "TimeoutError: ")
        if mood == "silent"
        else RequestError(Fault.EMPTY, "empty answer")
    }
    figures = summarise(window.replies)
    assert figures["failure_rate"] == 1
    assert figures[f"{request_.service}_latency_ms"] == INFINITE


def test_an_error_inside_a_200_stream_is_a_failure_although_tokens_came(load, fake):
    window = load(ends(fake("error-in-stream", "--after", 1)), at(LLM, 0.0, 0.5, 5.0))
    good, bad = sorted(window.replies, key=lambda r: r.scheduled_s)
    assert good.error is None
    assert bad.error.fault is Fault.STREAM
    assert bad.error.text.startswith("error in the stream")
    assert "EngineCore encountered an issue" in bad.error.text
    assert bad.latency_ms == bad.ttft_ms == INFINITE
    assert window.aborted == bad.symptom == Symptom(bad.error.text, "llm", bad.error)
    assert str(window.aborted) == f"llm: {bad.error}"


def test_an_engine_that_exits_in_the_middle_of_an_answer_ends_the_window(load, fake):
    server = fake("exits-0-under-load", "--after", 0)
    window = load(ends(server), at(LLM, 0.0, 20.0))
    assert len(window.replies) == 1
    assert window.aborted.error.fault is Fault.PROTOCOL
    assert str(window.aborted).startswith("llm: RemoteProtocolError")


def test_a_server_that_dies_between_requests_ends_the_window(load, fake):
    server = fake()
    looks = []

    def broken():
        looks.append(1)
        return ENDED if len(looks) == 2 else None

    window = load(ends(server), at(LLM, 0.0, 30.0), broken=broken)
    assert window.aborted == ENDED
    assert len(window.replies) == 1


def test_speech_out_of_memory_ends_the_window_at_the_first_one(load, fake):
    window = load(ends(fake("stt-oom", "--after", 1)), [*at(STT, 0.0, 0.4, 20.0), *at(LLM, 0.0)])
    heard = [r for r in window.replies if r.service == "stt"]
    assert [r.error is None for r in heard] == [True, False]
    assert window.aborted == heard[1].symptom
    assert window.aborted.error.status == 507
    assert str(window.aborted).startswith("stt: HTTP 507")


@pytest.mark.parametrize(
    ("service", "error", "fatal"),
    [
        ("stt", RequestError(Fault.STATUS, "HTTP 500: it did not work", 500), True),
        ("stt", RequestError(Fault.CONNECT, "ConnectError: refused"), True),
        ("stt", RequestError(Fault.TIMEOUT, "TimeoutError: "), False),
        ("stt", RequestError(Fault.STATUS, "HTTP 400: ValueError: no such language", 400), False),
        ("stt", RequestError(Fault.EMPTY, "empty answer"), False),
        ("llm", RequestError(Fault.STREAM, "error in the stream: EngineCore"), True),
        ("llm", RequestError(Fault.PROTOCOL, "RemoteProtocolError: peer closed connection"), True),
        ("llm", RequestError(Fault.STATUS, "HTTP 400: the prompt is too long", 400), False),
        ("llm", RequestError(Fault.TIMEOUT, "TimeoutError: "), False),
        ("llm", None, False),
    ],
)
def test_what_ends_a_window_at_once(service, error, fatal):
    assert Reply(service=service, scheduled_s=0, sent_s=0, error=error).is_fatal is fatal


def test_the_engine_tells_its_peak_and_its_preemptions_of_the_window_alone(load, generator, fake):
    server = fake("slow", "--kv", 0.75)
    one_by_one(
        generator, ends(server), CLIPS, [LLM], timeout_s=20
    )  # the fake counts one preemption a request
    window = load(ends(server), at(LLM, 0.0, 0.3, 0.6))
    assert window.kv_peak_pct == {"llm": 75}
    assert window.preemptions == {"llm": 3}


def test_a_server_without_metrics_tells_neither(load, fake):
    window = load(ends(fake(), metrics_path=None), [LLM])
    assert (window.kv_peak_pct, window.preemptions) == ({}, {})
    window = load(ends(fake(), metrics_path="/no-such-page"), [LLM])
    assert (window.kv_peak_pct, window.preemptions) == ({}, {})


def test_one_by_one_waits_for_each_answer(generator, fake):
    replies = one_by_one(
        generator, ends(fake("slow", "--delay", 0.1)), CLIPS, [LLM, STT, LLM], timeout_s=20
    )
    assert [r.service for r in replies] == ["llm", "stt", "llm"]
    assert all(b.scheduled_s >= a.end_s for a, b in itertools.pairwise(replies))


def test_one_by_one_ends_with_a_dead_server(generator, fake):
    replies = one_by_one(
        generator, ends(fake("exits-0-under-load", "--after", 1)), CLIPS, [LLM] * 4, timeout_s=20
    )
    assert [r.error is None for r in replies] == [True, False]
