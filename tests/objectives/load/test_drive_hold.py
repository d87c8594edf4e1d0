"""A hold sends turns through both fake servers at one rate, and ends once it is lost."""

import time
from dataclasses import replace
from itertools import count

import pytest
from made.factories import endpoints_of

from objectives.capacity.ramp_figures import limits_of
from objectives.load.drive_turns import TurnSource, drive_hold
from objectives.load.replies import Symptom
from objectives.load.turns_under_way import OPEN
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Workload

CLIPS = read_clips("assistant")
PLAN = Workload(prompt_tokens=(8, 16), output_tokens=3, request_timeout_s=5)
EASY = {"stt_latency_p95_ms": 60_000.0, "llm_ttft_p95_ms": 60_000.0}
ENDED = Symptom("the llm server ended under load")


def hold_of(generator, server, rate_per_s, hold_s, *, limits_ms=EASY, broken=lambda: None, **more):
    endpoints = endpoints_of(server.url, server.url, 2048)
    workload, limits = replace(PLAN, hold_s=hold_s, **more), limits_of(limits_ms)
    source = TurnSource(
        generator, endpoints, CLIPS, workload, limits, broken, lambda: True, count(1)
    )
    return drive_hold(source, rate_per_s)


def test_a_rate_that_the_servers_follow_is_held(generator, fake):
    hold, sent = hold_of(generator, fake(), 40.0, 1.0)
    assert (hold.is_held, hold.good_pct, hold.rate_per_s) == (True, 100.0, 40.0)
    assert 20 < hold.turns == hold.good == len(sent.times_s) < 60
    assert len(sent.replies) == 2 * hold.turns and all(r.error is None for r in sent.replies)
    first, last = sent.times_s[0], sent.times_s[-1]
    assert 0 < first < 0.5 < last < 1.0


def test_two_holds_of_a_seed_have_the_same_arrivals_and_another_seed_has_others(generator, fake):
    server = fake()
    first, again, other = (
        hold_of(generator, server, 20.0, 0.5, seed=s)[1].times_s for s in (1, 1, 2)
    )
    assert first == again != other


def test_a_hold_ends_once_too_few_turns_can_still_be_good(generator, fake):
    began = time.monotonic()
    limits = {"stt_latency_p95_ms": 300.0, "llm_ttft_p95_ms": 60_000.0}
    hold, sent = hold_of(
        generator, fake("serial", "--delay", 0.1), 20.0, 30.0, limits_ms=limits, request_timeout_s=1
    )
    assert time.monotonic() - began < 15
    assert not hold.is_held and hold.good_pct < 95
    assert hold.turns == sent.sent < len(sent.times_s) / 2
    assert sent.aborted is None


def test_what_is_still_open_after_the_drain_is_not_good(generator, fake):
    began = time.monotonic()
    hold, sent = hold_of(generator, fake("serial", "--delay", 0.6), 10.0, 0.5, request_timeout_s=1)
    assert time.monotonic() - began < 8
    assert not hold.is_held
    assert any(r.error == OPEN or "Timeout" in (r.error or "") for r in sent.replies)


@pytest.mark.parametrize("mood", [(), ("stt-oom", "--after", 3)])
def test_a_hold_ends_with_a_server(generator, fake, mood):
    broken = (lambda: None) if mood else (lambda: ENDED)
    _, sent = hold_of(generator, fake(*mood), 10.0, 20.0, broken=broken)
    assert sent.aborted is not None
    assert sent.sent < len(sent.times_s)
