"""Limits bound a request's own values; a good turn meets them all."""

import math

import pytest

from objectives.capacity.limits import DEFAULT_LIMITS, FAILED, SHORT_NAMES, Limit, missed, own_ms
from objectives.capacity.ramp_replies import RampReply

LIMITS = [Limit.of(name, ms) for name, ms in DEFAULT_LIMITS.items()]


def clip(end_s=0.5, **more):
    return RampReply(line=1, service="stt", scheduled_s=0.0, end_s=end_s, **more)


def answer(first_s=1.0, end_s=2.0, tokens=64, **more):
    return RampReply(
        line=2, service="llm", scheduled_s=0.4, first_s=first_s, end_s=end_s, tokens=tokens, **more
    )


def test_a_request_is_held_to_its_own_values():
    assert own_ms(clip(), "latency") == 500.0
    assert own_ms(answer(), "latency") == pytest.approx(1600.0)
    assert own_ms(answer(), "ttft") == pytest.approx(600.0)
    assert own_ms(answer(tokens=11), "tpot") == pytest.approx(100.0)


def test_one_token_has_no_time_between_tokens_and_no_token_is_no_answer():
    assert own_ms(answer(end_s=90.0, tokens=1), "tpot") == 0.0
    assert own_ms(answer(tokens=0), "tpot") == own_ms(answer(tokens=0), "ttft") == math.inf
    assert own_ms(answer(tokens=None), "tpot") == math.inf


@pytest.mark.parametrize(
    ("turn", "misses"),
    [
        ([clip(), answer()], ()),
        ([clip(end_s=1.0), answer(first_s=2.4, end_s=2.4 + 6.3)], ()),  # just met, to the digit
        ([clip(end_s=1.001), answer()], ("stt_latency_p95_ms",)),
        ([clip(), answer(first_s=2.41, end_s=3.0)], ("llm_ttft_p95_ms",)),
        (
            [clip(end_s=2.0), answer(first_s=3.0, end_s=30.0)],
            ("stt_latency_p95_ms", "llm_ttft_p95_ms", "llm_tpot_p95_ms"),
        ),
        ([clip(), answer(first_s=None, tokens=None)], ("llm_ttft_p95_ms", "llm_tpot_p95_ms")),
        ([clip(), answer(error="")], (FAILED,)),  # some errors have no words
        ([clip(end_s=None), answer()], (FAILED,)),
        ([clip(end_s=9.0), answer(error="TimeoutError", end_s=None)], (FAILED,)),
    ],
)
def test_a_turn_misses_what_one_of_its_requests_misses_and_a_failed_one_meets_nothing(turn, misses):
    assert missed(turn, LIMITS) == misses


def test_without_limits_only_a_failed_turn_is_not_good():
    assert missed([clip(end_s=900.0), answer()], []) == ()
    assert missed([clip(error="500"), answer()], []) == (FAILED,)


def test_a_limit_has_a_short_name_and_that_of_a_spec():
    for short, name in SHORT_NAMES.items():
        one, other = Limit.of(short, 5.0), Limit.of(name, 5.0)
        assert (one.service, one.figure, one.ms) == (other.service, other.figure, other.ms)
        assert (one.name, other.name) == (short, name)
    assert Limit.of("second_llm_latency_p95_ms", 5.0).service == "second_llm"


@pytest.mark.parametrize("name", ["", "ttft", "llm_wer_p95_ms", "llm_ttft_ms", "_ttft_p95_m"])
def test_an_unknown_limit_is_refused_with_those_that_are_known(name):
    with pytest.raises(ValueError, match="choose stt_ms, ttft_ms, tpot_ms"):
        Limit.of(name, 5.0)


@pytest.mark.parametrize("ms", [0.0, -1.0, math.inf, math.nan])
def test_a_limit_is_a_time(ms):
    with pytest.raises(ValueError, match="above 0 ms"):
        Limit.of("stt_ms", ms)
