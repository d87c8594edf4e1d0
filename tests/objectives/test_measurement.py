"""Replies become figures, of which some are infinite; they go to plain data and back."""

import json

import pytest
from made.factories import only

from objectives.load.figures_of_replies import interference, nearest_rank, summarise
from objectives.load.replies import Fault, Reply, RequestError
from objectives.measurement import INFINITE, Measurement
from objectives.speech.wer import WordErrors, wer_pct

BAD = RequestError(Fault.STATUS, "HTTP 507", 507)


def llm(at=0.0, sent=0.0, first=0.2, end=1.2, tokens=11, error=None):
    return Reply(
        service="llm",
        scheduled_s=at,
        sent_s=at + sent,
        first_s=at + first,
        end_s=at + end,
        tokens=tokens,
        error=error,
    )


def stt(at=0.0, sent=0.0, end=0.5, audio=2.0, error=None):
    return Reply(
        service="stt",
        scheduled_s=at,
        sent_s=at + sent,
        first_s=at + end,
        end_s=at + end,
        audio_s=audio,
        error=error,
    )


@pytest.mark.parametrize(
    ("q", "expected"), [(0.0, 1), (0.5, 10), (0.95, 19), (0.951, 20), (1.0, 20)]
)
def test_quantiles_are_nearest_rank(q, expected):
    assert nearest_rank(range(20, 0, -1), q) == expected


def test_one_failure_in_twenty_leaves_the_p95_finite_and_two_do_not():
    good = [float(n) for n in range(18)]
    assert nearest_rank([*good, 18.0, INFINITE], 0.95) == 18
    assert nearest_rank([*good, INFINITE, INFINITE], 0.95) == INFINITE


@pytest.mark.parametrize(
    "reply",
    [llm(error=BAD), Reply(service="llm", scheduled_s=0, sent_s=0)],
    ids=["failed", "never came"],
)
def test_a_failed_request_is_infinite_even_where_it_has_times(reply):
    assert reply.latency_ms == reply.ttft_ms == INFINITE


def test_latency_counts_from_the_schedule_even_where_we_were_late():
    late = Reply(service="llm", scheduled_s=10.0, sent_s=11.0, first_s=11.5, end_s=12.0, tokens=2)
    assert (late.latency_ms, late.ttft_ms) == (2000, 1500)
    assert summarise([late])["generator_lag_p99_ms"] == 1000
    assert summarise([late])["lag_exceeded"]


def test_figures_of_a_window():
    figures = summarise(
        [llm(), llm(at=10, end=2.2, tokens=21), stt(), stt(at=5, end=1.0, audio=4.0)]
    )
    assert {k: pytest.approx(v) for k, v in figures.items()} == {
        "stt_latency_ms": 500,
        "stt_latency_p95_ms": 1000,
        "stt_rtfx": 4,
        "llm_latency_ms": 1200,
        "llm_latency_p95_ms": 2200,
        "llm_ttft_ms": 200,
        "llm_ttft_p95_ms": 200,
        "llm_tpot_ms": 100,
        "llm_tpot_p95_ms": 100,
        "turn_ttft_ms": None,
        "turn_ttft_p95_ms": None,
        "failure_rate": 0,
        "generator_lag_p99_ms": 0,
        "lag_exceeded": False,
        "llm_offered": 2,
        "stt_offered": 2,
    }


def test_failed_requests_are_offered_ones():
    figures = summarise([llm(), llm(error=BAD), stt(error=BAD)])
    assert figures["failure_rate"] == pytest.approx(2 / 3)
    assert (figures["llm_latency_ms"], figures["llm_latency_p95_ms"]) == (1200, INFINITE)
    assert (figures["stt_latency_ms"], figures["stt_rtfx"]) == (INFINITE, None)
    assert figures["llm_tpot_ms"] == pytest.approx(100)
    assert figures["llm_tpot_p95_ms"] == INFINITE  # a failed request meets no limit


def test_a_service_without_requests_was_not_measured():
    figures = summarise([llm()])
    assert not [name for name in figures if name.startswith("stt_")]
    assert only(**figures).services.keys() == {"llm"}
    assert summarise([])["failure_rate"] is None


def test_one_token_has_no_time_between_tokens():
    figures = summarise([llm(tokens=1)])
    assert (figures["llm_tpot_ms"], figures["llm_tpot_p95_ms"]) == (None, None)


def left_late(late_s, spread_s, *, each=50, first_spread_s=None, count=400):
    """Replies of which every so many-th left late; their own times spread evenly over seconds."""
    first_spread_s = spread_s if first_spread_s is None else first_spread_s
    return [
        llm(sent=sent, first=sent + 0.1 + first_spread_s * part, end=sent + 2 + spread_s * part)
        for n in range(count)
        for part in [(n * 7 % count) / count]
        for sent in [late_s if n % each == 0 else 0.0]
    ]


@pytest.mark.parametrize(
    ("late_s", "each", "spread_s", "exceeded"),
    [
        (0.0077, 50, 1.0, False),  # what real servers had
        (0.0077, 50, 0.02, False),  # 2 % of 400: the ranks of a p95 are open by as much
        (0.5, 50, 0.02, False),
        (0.5, 10, 1.0, True),  # a tenth by half a second: every p95 is theirs
        (0.006, 10, 1.0, False),  # a tenth by less than what a p95 leaves open
        (0.006, 1, 1.0, False),  # all by 6 ms: a median of a second's spread is open by 49
        (0.006, 1, 0.02, True),  # servers as even as a clock: any delay shows
        (0.0005, 1, 0.0, False),  # below 1 % of a figure launches differ anyway
        (0.0, 50, 0.0, False),
    ],
)
def test_late_is_what_moved_a_figure_beyond_its_own_interval(late_s, each, spread_s, exceeded):
    assert summarise(left_late(late_s, spread_s, each=each))["lag_exceeded"] is exceeded


@pytest.mark.parametrize(("late_s", "exceeded"), [(0.0005, False), (0.02, True)])
def test_a_single_request_has_no_interval_but_its_own_time(late_s, exceeded):
    late = llm(sent=late_s, first=late_s + 0.1, end=late_s + 1)
    assert summarise([late])["lag_exceeded"] is exceeded


def test_any_figure_of_any_service_is_enough():
    late = left_late(0.02, 1.0, each=1, first_spread_s=0.1)  # only the first content is that even
    assert summarise(late)["lag_exceeded"]
    assert not summarise(left_late(0.02, 1.0, each=1))["lag_exceeded"]
    on_time = left_late(0.0, 1.0)
    assert summarise([*on_time, *(stt(sent=0.02, end=0.5) for _ in range(100))])["lag_exceeded"]


def test_what_left_late_does_not_widen_what_it_is_held_against():
    assert summarise(left_late(4.0, 1.0, each=4))["lag_exceeded"]


def test_what_failed_is_no_matter_of_lateness():
    failed = [llm(sent=0.3, error=BAD) for _ in range(100)]
    assert not summarise(failed)["lag_exceeded"]
    assert summarise(left_late(0.5, 1.0, each=10) + failed)["lag_exceeded"]


def test_interference_is_joint_over_alone():
    assert interference([stt(end=1.5)], [stt(end=0.5)], "stt") == pytest.approx(3)
    assert interference([stt(error=BAD)], [stt()], "stt") is None
    assert interference([stt()], [], "stt") is None


def test_a_word_error_rate_is_of_the_whole_corpus():
    assert wer_pct([WordErrors(1, 6), WordErrors(0, 4)]) == 10


def test_a_symptom_says_whose_answer_it_was():
    other = RequestError(Fault.EMPTY, "x")
    assert (str(stt(error=BAD).symptom), str(llm(error=other).symptom)) == (
        "stt: HTTP 507",
        "llm: x",
    )
    assert stt().symptom is None


FULL = only(
    stt_latency_ms=1.5,
    llm_latency_p95_ms=INFINITE,
    capacity_turns_per_s=0,
    ladder=({"sessions": 2, "passed": False, "turn_ttft_ms": INFINITE, "bound_by": None},),
    word_errors=(WordErrors(1, 6), WordErrors(0, 4)),
    lag_exceeded=True,
)


def test_plain_data_is_strict_json_and_comes_back_whole():
    text = json.dumps(FULL.to_json(), allow_nan=False)
    assert Measurement.from_json(json.loads(text)) == FULL


@pytest.mark.parametrize(
    "data",
    [
        [],
        {"services": [], "devices": {}},
        {"services": {"llm": 5}, "devices": {}},
        {"services": {}, "devices": None},
        {"services": {}, "devices": {}, "phase_s": "x"},
        {"services": {}, "devices": {}, "ladder": [1]},
        {"services": {}},
        {"services": {"llm": {"latency_ms": "fast"}}, "devices": {}},
    ],
)
def test_what_is_no_measurement_is_refused(data):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Measurement.from_json(data)


def test_figures_of_another_version_are_left_out():
    assert Measurement.from_json({"stt_latency_ms": 2.0, "phase_of_the_moon": 1}) == only(
        stt_latency_ms=2.0
    )


@pytest.mark.parametrize("errors", ["inf", "1", 1.5, True, -1, None, [1]])
def test_a_number_of_words_that_is_none_is_refused(errors):
    words = [{"errors": errors, "reference_words": 5}]
    with pytest.raises((ValueError, TypeError)):
        Measurement.from_json({"services": {"stt": {"word_errors": words}}, "devices": {}})
    sound = [{"errors": 1, "reference_words": 5}]
    read = Measurement.from_json({"services": {"stt": {"word_errors": sound}}, "devices": {}})
    assert read.services["stt"].word_errors == (WordErrors(1, 5),)
