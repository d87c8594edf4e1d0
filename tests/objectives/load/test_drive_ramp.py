"""A ramp sends turns through both fake servers at a rising rate, and ends once they are bad."""

import time
from dataclasses import replace
from itertools import count

import pytest
from made.factories import endpoints_of

from objectives.capacity import ramp_capacity
from objectives.capacity import ramp_figures as figures_of_ramps
from objectives.capacity.ramp_figures import limits_of, ramp_figures
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import HUNG_UP
from objectives.load import ramp as ramps
from objectives.load.drive_turns import TurnSource, drive_ramp
from objectives.load.replies import Symptom
from objectives.load.turns_under_way import OPEN
from objectives.traffic.clips import read_clips
from objectives.traffic.trace import turn_requests
from objectives.traffic.workload import Workload

CLIPS = read_clips("assistant")
PLAN = Workload(prompt_tokens=(8, 16), output_tokens=3, request_timeout_s=5)
EASY = {"stt_latency_p95_ms": 60_000.0, "llm_ttft_p95_ms": 60_000.0}
ENDED = Symptom("the llm server ended under load")


def ramp_of(generator, server, limits_ms, rate, *, workload=PLAN, broken=lambda: None):
    endpoints = endpoints_of(server.url, server.url, 2048)
    limits = limits_of(limits_ms)
    source = TurnSource(
        generator, endpoints, CLIPS, workload, limits, broken, lambda: True, count(1)
    )
    ramp = drive_ramp(source, rate)
    if ramp.aborted is not None:
        return ramp, {}
    return ramp, ramp_figures(
        ramp.replies, endpoints, rate, limits, pause_s=1.0, kv_full_s=ramp.kv_full_s
    )


def test_a_turn_is_a_clip_and_then_a_prompt(generator, fake):
    ramp, figures = ramp_of(generator, fake(), EASY, RampRate(10.0, 20.0, 2.0, "geometric"))
    turns = {r.turn for r in ramp.replies}
    assert len(ramp.replies) == 2 * len(turns) and all(r.error is None for r in ramp.replies)
    for turn in turns:
        clip, prompt = sorted(
            (r for r in ramp.replies if r.turn == turn), key=lambda r: -ord(r.service[0])
        )
        assert (clip.service, prompt.service, prompt.tokens) == ("stt", "llm", 3)
        assert clip.scheduled_s <= clip.sent_s <= clip.end_s == prompt.scheduled_s
        assert prompt.scheduled_s <= prompt.sent_s <= prompt.first_s
    assert figures["capacity_bound_by"] == "generator"
    assert 15 < figures["capacity_turns_per_s"] <= 20
    assert figures["capacity_bracket"][1] is None
    assert figures["concurrent_capacity"] >= 15


def test_a_ramp_ends_itself_once_it_is_broken_and_says_what_broke(generator, fake, monkeypatch):
    for module in (ramps, ramp_capacity, figures_of_ramps):
        monkeypatch.setattr(module, "COMPLETION_WINDOW_S", 8.0)
    limits = {"stt_latency_p95_ms": 600.0, "llm_ttft_p95_ms": 60_000.0}
    began = time.monotonic()
    rate = RampRate.doubling(2.0, every_s=4.0, ramp_s=60.0)
    patient = replace(PLAN, request_timeout_s=60)
    server = fake("serial", "--delay", 0.05)
    ramp, figures = ramp_of(generator, server, limits, rate, workload=patient)
    last_s = max(r.scheduled_s for r in ramp.replies)
    hung_up = [r for r in ramp.replies if r.error == HUNG_UP]
    assert len(hung_up) > 40  # two seconds of work and more, for which nobody waited
    assert all((r.first_s, r.end_s) == (None, None) for r in hung_up)
    assert not [r for r in ramp.replies if r.error not in {None, HUNG_UP}]
    assert max(r.end_s for r in ramp.replies if r.end_s is not None) < last_s + 2
    assert 8 < time.monotonic() - began < 55
    assert figures["capacity_bound_by"] == "stt_latency_p95_ms"
    assert 4 < figures["breaking_point_turns_per_s"] < 16  # 10 turns/s of two times 0.05 s
    assert figures["capacity_turns_per_s"] <= figures["breaking_point_turns_per_s"]
    low, high = figures["capacity_bracket"]
    assert low == figures["breaking_point_turns_per_s"] < high


@pytest.mark.parametrize(
    ("limit", "kv", "bound_by"),
    [
        ("stt_latency_p95_ms", 1.0, "stt_latency_p95_ms"),
        ("llm_ttft_p95_ms", 0.5, "llm_ttft_p95_ms"),
        ("llm_ttft_p95_ms", 1.0, "kv"),
    ],
)
def test_where_no_rate_is_good_there_is_no_capacity(
    generator, fake, monkeypatch, limit, kv, bound_by
):
    monkeypatch.setattr(ramps, "COMPLETION_WINDOW_S", 1.5)
    rate = RampRate.doubling(20.0, every_s=30.0, ramp_s=60.0)
    _, figures = ramp_of(
        generator, fake("slow", "--delay", 0.1, "--kv", kv), {**EASY, limit: 1.0}, rate
    )
    assert (figures["capacity_turns_per_s"], figures["concurrent_capacity"]) == (None, None)
    assert figures["capacity_bound_by"] == bound_by


def test_what_is_still_open_after_the_drain_has_failed(generator, fake):
    began = time.monotonic()
    rate = RampRate(10.0, 20.0, 0.5, "geometric")
    plan = Workload(prompt_tokens=(8, 16), output_tokens=3, request_timeout_s=1)
    ramp, figures = ramp_of(generator, fake("serial", "--delay", 0.6), EASY, rate, workload=plan)
    assert time.monotonic() - began < 8
    assert {r.error is None or r.error == OPEN or "Timeout" in r.error for r in ramp.replies} == {
        True
    }
    assert any(r.error for r in ramp.replies)
    assert figures["capacity_bound_by"] == "failed_requests"


def test_a_ramp_ends_with_a_server(generator, fake):
    rate = RampRate(10.0, 20.0, 20.0, "geometric")
    assert ramp_of(generator, fake(), EASY, rate, broken=lambda: ENDED)[0].aborted == ENDED
    ramp, _ = ramp_of(generator, fake("stt-oom", "--after", 3), EASY, rate)
    assert str(ramp.aborted).startswith("stt: HTTP 507")


def test_turns_of_two_ramps_have_the_same_sizes_and_other_words():
    services = {"stt": True, "llm": False}
    first, again, other = (turn_requests(PLAN, services, 7, 24, salt) for salt in (1, 1, 2))
    assert first == again
    assert [r.service for r in first] == ["stt", "llm"]
    assert first[0] == other[0]
    assert {r.turn for r in first} == {7}
    assert first[1].prompt_tokens == other[1].prompt_tokens
    assert first[1].seed != other[1].seed
