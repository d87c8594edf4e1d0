"""These tests take the rule case by case: what confirms, what rejects, what stays open."""

from __future__ import annotations

import math
from typing import Any

import pytest
from factories import pair

from objectives.errors import BadInput
from objectives.speech.wer import Gate, WordVerdict
from study.confirmation import wording
from study.confirmation.protocol import ClaimRule, Margins, MetricKey, read_margins
from study.confirmation.verdict.evidence import Evidence
from study.confirmation.verdict.gains import failed_more
from study.confirmation.verdict.judge import PairsVerdict, judge_pairs
from study.confirmation.verdict.metric_comparison import LOST
from study.spec.model import Claim

RULE = ClaimRule("llm_latency_ms")
OTHER = MetricKey("main", "stt_latency_p95_ms")
HELD_OUT = MetricKey("long_context", "llm_latency_ms")
WIN = (0.20, 0.21, 0.19, 0.20, 0.22, 0.18)
EQUAL = (0.001, -0.001, 0.002, -0.002, 0.001, 0.0)
NOISY = (0.09, -0.1, 0.1, -0.09, 0.05, -0.02)
SAME = Gate(WordVerdict.PASS, 0.0, 0.0, 0.0)


def judged(
    primary: Any = WIN, *, rule: ClaimRule = RULE, targets: tuple[int, ...] = (6,), **more: Any
) -> PairsVerdict:
    others = more.pop("others", {})
    return judge_pairs(
        Evidence(**{"gains": {rule.primary: primary, **others}, "words": SAME, **more}),
        rule,
        targets,
    )


def test_six_pairs_that_all_gain_confirm_where_everything_else_is_no_worse() -> None:
    found = judged(others={OTHER: EQUAL, HELD_OUT: WIN})
    assert (found.status, found.reasons, found.pairs) == ("confirmed", (), 6)
    assert [f.standing for f in found.findings] == ["better", "no_worse", "better"]


def test_five_pairs_never_confirm_however_clear_they_are() -> None:
    found = judged(WIN[:5])
    assert (found.status, found.pairs_more) == ("inconclusive", 1)
    assert found.reasons == ("5 of at least 6 pairs",)


def test_a_metric_that_nobody_can_tell_keeps_it_open_and_says_how_many_pairs_it_would_take() -> (
    None
):
    found = judged(others={OTHER: NOISY})
    assert (found.status, found.is_over) == ("inconclusive", True)
    assert found.reasons == ("stt_latency_p95_ms under main: it may be worse by more than 5 %",)
    assert found.pairs_more is not None and found.pairs_more > 6


def test_a_metric_that_is_worse_on_a_held_out_workload_rejects() -> None:
    found = judged(others={HELD_OUT: tuple(-0.2 + g for g in EQUAL)})
    assert (found.status, found.pairs) == ("rejected", 3)
    assert found.reasons == ("llm_latency_ms under long_context is worse by more than 5 %",)


def test_a_metric_and_no_other_may_be_worse_by_its_own_margin_under_every_workload() -> None:
    worse = tuple(-0.2 + g for g in EQUAL)
    rule = ClaimRule("llm_latency_ms", margins=Margins(5.0, {"llm_latency_p95_ms": 30.0}))
    p95, held_out = (
        MetricKey("main", "llm_latency_p95_ms"),
        MetricKey("long_context", "llm_latency_p95_ms"),
    )
    assert judged(others={p95: worse, held_out: worse}).status == "rejected"
    assert judged(rule=rule, others={p95: worse, held_out: worse}).status == "confirmed"
    found = judged(rule=rule, others={p95: worse, OTHER: worse})
    assert found.reasons == ("stt_latency_p95_ms under main is worse by more than 5 %",)
    beyond = judged(rule=rule, others={p95: tuple(2 * g for g in worse)})
    assert beyond.reasons == ("llm_latency_p95_ms under main is worse by more than 30 %",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["llm_tpot=100"], "did you mean llm_tpot_ms"),
        (["5", "10"], "the one for all metrics is given twice"),
        (["llm_tpot_ms=9", "llm_tpot_ms=8"], "llm_tpot_ms is given twice"),
        (["nan"], "'nan' is no percentage"),
        (["0"], "'0' is no percentage"),
        (["llm_tpot_ms=1e9"], "is no percentage from 0.1 to 1000"),
        (["llm_tpot_ms=1,llm_ttft_ms=2"], "nothing that is judged is called"),
        ([""], "is no percentage"),
    ],
)
def test_a_margin_that_is_none_is_refused_with_the_way_out(given: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_margins(given, {}, ["llm_tpot_ms", "fitness"])


def test_a_claim_that_is_worse_rejects_after_three_pairs() -> None:
    found = judged(tuple(-g for g in WIN))
    assert (found.status, found.pairs, found.reasons) == (
        "rejected",
        3,
        ("llm_latency_ms under main is worse, not better",),
    )


def test_no_gain_within_a_tight_interval_rejects() -> None:
    found = judged(EQUAL, targets=(12,))
    assert found.status == "rejected"
    assert "gains less than 5 %" in found.reasons[0]
    small_but_sure = judged(tuple(0.02 + g for g in EQUAL))
    assert small_but_sure.status == "confirmed"


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        (
            {"words": Gate(WordVerdict.FAIL, 3.0, 2.0, 4.0)},
            "rejected",
            "its words are worse than the gate allows",
        ),
        (
            {"words": Gate(WordVerdict.CANNOT_TELL, 0.5, -1, 2, 14.2)},
            "inconclusive",
            "about 14 more minutes of audio would tell",
        ),
        ({"words": Gate(WordVerdict.NOT_MEASURED)}, "inconclusive", "word errors: not measured"),
        (
            {"failed_more": {"main": 0.03}},
            "rejected",
            "3.0 points more of the requests failed under main",
        ),
        ({"failed_more": {"main": 0.004}}, "confirmed", ""),
        (
            {"failed_more": {"main": None}},
            "inconclusive",
            "failed requests were not counted under main",
        ),
        ({"obstacles": ["it ran out of memory"]}, "rejected", "it ran out of memory"),
        ({"doubts": ["no stress yet"]}, "inconclusive", "no stress yet"),
    ],
)
def test_what_is_no_latency_counts_too(more: dict[str, Any], status: str, said: str) -> None:
    found = judged(**more)
    assert found.status == status
    assert said in "; ".join(found.reasons)


@pytest.mark.parametrize("rate", [None, float("nan"), -5.0, 1e308])
def test_a_failure_rate_that_is_none_was_not_counted(rate: float | None) -> None:
    counted = {"failure_rate": 0.01}
    assert failed_more([pair(1, {"failure_rate": 0.0}, counted)], ["main"]) == {"main": 0.01}
    broken = pair(2, counted, counted)
    object.__setattr__(broken.of("winner").measured["main"], "failure_rate", rate)
    assert failed_more([pair(1, counted, counted), broken], ["main"]) == {"main": None}


def test_an_obstacle_rejects_before_the_first_pair() -> None:
    assert judged((), obstacles=["it ran out of memory"]).status == "rejected"


@pytest.mark.parametrize("missing", [None, LOST])
def test_a_claim_that_was_not_measured_in_every_pair_is_not_confirmed(
    missing: float | None,
) -> None:
    found = judged((*WIN[:5], missing))
    assert found.status == "inconclusive"
    assert "was not measured in 1 of 6 pairs" in found.reasons[0]


def test_what_the_baseline_lacks_is_not_judged_and_what_only_the_winner_lacks_is() -> None:
    assert judged(others={OTHER: (*EQUAL[:5], None)}).status == "confirmed"
    found = judged(others={OTHER: (*EQUAL[:5], LOST)})
    assert (found.status, found.reasons) == (
        "inconclusive",
        ("stt_latency_p95_ms under main: the winner lacks it in some pairs",),
    )


def test_a_metric_that_the_baseline_lacks_in_one_pair_is_judged_by_the_others() -> None:
    found = judged(others={OTHER: (None, *(-0.5 + g for g in EQUAL[:5]))})
    assert (found.status, found.reasons) == ("rejected", (f"{OTHER} is worse by more than 5 %",))
    unsure = judged(others={OTHER: (*NOISY[:5], None)})
    assert (unsure.status, unsure.reasons) == (
        "inconclusive",
        (f"{OTHER}: it may be worse by more than 5 %",),
    )
    assert judged(others={OTHER: (-0.5, -0.5, None, None, None, None)}).status == "confirmed"


def test_a_verdict_that_was_reached_is_not_changed_by_later_pairs() -> None:
    found = judged((*WIN, *(-g for g in WIN)), targets=(12,))
    assert (found.status, found.pairs) == ("confirmed", 6)


def test_the_second_look_asks_for_more() -> None:
    first = (0.05, 0.2, -0.02, 0.1, 0.12, -0.03)
    found = judged((*first, 0.1, 0.1, 0.1, 0.1), targets=(6, 10))
    primary = found.finding(RULE.primary)
    assert primary is not None
    assert (found.look, primary.confidence, found.status) == (2, 0.975, "confirmed")


def claimed(
    gain_pct: float, spread: float, claim: Claim = "llm_latency_ms", resolution: float | None = None
) -> str:
    rule = ClaimRule(claim)
    middle = (
        -math.log(1 - gain_pct / 100) if claim == "llm_latency_ms" else math.log(1 + gain_pct / 100)
    )
    found = judged(tuple(middle + spread * g for g in (-1, 1, -0.5, 0.5, -0.2, 0.2)), rule=rule)
    return wording.claim(found, rule, resolution)


def test_ten_percent_needs_the_point_there_and_at_least_ten_the_whole_interval() -> None:
    assert claimed(14, 0.01).startswith(
        "LLM latency: at least 10 % shorter (+14.0 %, 95 % interval"
    )
    assert claimed(11, 0.05).startswith("LLM latency: 10 % shorter (+11.0 %")
    assert claimed(9, 0.01).startswith("LLM latency: shorter (+9.0 %")
    assert "shorter" not in claimed(9, 0.30)


def test_capacity_is_claimed_by_ten_percent_only_where_its_bracket_is_narrow() -> None:
    assert "at least 10 % more" in claimed(30, 0.01, "capacity_turns_per_s", 6.0)
    for resolution in (12.5, None):
        assert claimed(30, 0.01, "capacity_turns_per_s", resolution).startswith(
            "capacity, turns a second: more (+30.0 %"
        )


def test_further_claims_are_corrected_for_their_number_and_made_only_with_the_first() -> None:
    barely = (0.011, 0.004, 0.012, 0.001, 0.009, 0.003)  # p = 0.015 alone
    many = {MetricKey(f"w{i}", "stt_latency_ms"): EQUAL for i in range(9)}
    alone = judged(others={OTHER: barely})
    assert [line.split(":")[0] for line in wording.further(alone, RULE)] == [
        "stt_latency_p95_ms under main"
    ]
    assert wording.further(judged(others={OTHER: barely, **many}), RULE) == []
    assert wording.further(judged(NOISY, others={OTHER: barely}), RULE) == []
