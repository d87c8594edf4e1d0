"""These tests put verdicts into words: a claim by its lower end, a sentence for each cause."""

from __future__ import annotations

import math

import pytest

from objectives.figures import CAPACITY
from study.confirmation.verdict.cause_words import cause_in_words
from study.confirmation.verdict.wording import (
    claims_in_words,
    reasons,
    status_in_words,
    worse_in_words,
)
from study.rule.hard_facts import HardFacts
from study.rule.judge import judge
from study.rule.pairs import Arms, Key
from study.rule.rule import Claim, Rule
from study.rule.verdict import Cause, Reason, RuleVerdict, Status

TPOT = "llm_tpot_p95_ms"
RULE = Rule(weights={"stt": 0.25, "llm": 0.25}, limits={TPOT: 100.0}, free_memory_mib=256.0)
FACTS = HardFacts(free_mib=900.0)
WIGGLE = (0.0, 0.01, -0.01, 0.005, -0.005, 0.002)


def judged(
    capacity: float = 1.0, latency: float = 1.0, tpot_ms: float = 35.0, pairs: int = 6
) -> RuleVerdict:
    """Return the verdict on a winner whose figures are so many times the baseline's."""
    figures: dict[Key, Arms] = {}
    for name, old, times in (
        (CAPACITY, 3.3, capacity),
        ("stt_latency_p95_ms", 300.0, latency),
        ("llm_latency_p95_ms", 5500.0, latency),
        (TPOT, 35.0, tpot_ms / 35.0),
    ):
        new = tuple(old * times * math.exp(w) for w in WIGGLE[:pairs])
        figures["main", name] = Arms((old,) * pairs, new)
    return judge(figures, FACTS, RULE)


def test_a_claim_says_at_least_the_lower_end_and_of_two_that_are_won_capacity_is_told() -> None:
    told = claims_in_words(judged(capacity=1.3, latency=0.9), RULE, 6)
    assert told.startswith("capacity: at least 28 % more (+30.0 %, 97.5 % interval +28.")
    assert told.endswith("6 pairs)") and "latency" not in told
    told = claims_in_words(judged(latency=0.9), RULE, 6)
    assert told.startswith("latency at today's load: at least 9 % shorter (+10.0 %, 97.5 %")


def test_a_claim_that_is_not_shown_is_not_told_beside_one_that_is() -> None:
    told = claims_in_words(judged(capacity=1.3), RULE, 6)
    assert told.startswith("capacity: at least 28 % more") and "latency" not in told


def test_before_the_first_look_nothing_is_claimed() -> None:
    found = judged(capacity=2.0, pairs=5)
    assert claims_in_words(found, RULE, 5) == "5 of 6 pairs, before which nothing is claimed"
    assert reasons(found, RULE) == ["5 of at least 6 pairs"]


def test_what_is_not_confirmed_names_each_claim_with_its_interval_and_promises_nothing() -> None:
    found = judged(capacity=2.0, tpot_ms=130.0)
    told = claims_in_words(found, RULE, 6)
    assert found.status is Status.REJECTED
    assert "at least" not in told and told.endswith("(positive is better)")
    assert told.startswith("capacity: +100.") and "latency at today's load: " in told


def test_a_broken_limit_says_what_one_more_launch_may_take_and_what_todays_take() -> None:
    [told] = reasons(judged(capacity=2.0, tpot_ms=130.0), RULE)
    assert told.startswith("LLM each token p95 (llm_tpot_p95_ms) under main breaks its limit")
    assert "of 100 ms: today's launches take 35 ms, and one more of the winner may take 13" in told


def test_a_figure_inside_its_limit_that_may_be_more_than_twice_todays_says_just_that() -> None:
    found = judged(capacity=2.0, tpot_ms=69.5)
    [told] = reasons(found, RULE)
    assert found.status is Status.INCONCLUSIVE
    assert "under main is inside its limit of 100 ms, but one more launch of the winner" in told
    assert told.endswith(", more than 2 x today's 35 ms") and "not shown" not in told


def test_what_gets_worse_has_its_interval() -> None:
    found = judged(capacity=2.0, tpot_ms=50.0)
    assert found.status is Status.CONFIRMED
    [worse] = found.worse
    told = worse_in_words(worse)
    assert told.startswith("LLM each token p95 (llm_tpot_p95_ms) on main: -4") and " to -4" in told


@pytest.mark.parametrize(
    ("pairs_more", "said"),
    [(None, "inconclusive after 12 pairs, the last look"), (6, "12 pairs, 6 more may tell")],
)
def test_an_inconclusive_verdict_says_whether_more_pairs_may_tell(
    pairs_more: int | None, said: str
) -> None:
    assert said in status_in_words("inconclusive", 12, pairs_more)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_a_sentence_that_names_what_it_has(reason: Reason) -> None:
    of_claim = reason.name.startswith(("CLAIM_", "HELD_OUT_"))
    name = Claim.CAPACITY if of_claim else TPOT
    cause = Cause(reason, "main", name, 2.0, "CUDA out of memory")
    told = cause_in_words(cause, judged(tpot_ms=120.0), RULE)
    assert told.isprintable() and not set(told) & set("{}") and not told.endswith(".")
    if reason in (Reason.WINNER_FAILED, Reason.BASELINE_FAILED):
        assert told.endswith("CUDA out of memory")
    if of_claim:
        assert "capacity" in told
    elif reason.name.startswith(("LIMIT_", "WATCHED_", "FIGURE_")):
        assert "LLM each token p95" in told and "main" in told


def test_no_good_rate_is_not_told_as_not_measured() -> None:
    figures = {("main", CAPACITY): Arms((0.0,) * 6, (0.0,) * 6)}
    rule = Rule(claim=Claim.CAPACITY, weights={}, limits={})
    found = judge(figures, HardFacts(), rule)
    assert claims_in_words(found, rule, 6) == "capacity: no good rate (positive is better)"
    assert reasons(found, rule) == [
        "no rate is good for the baseline in 6 of 6 pairs under main",
        "no rate is good for the winner in 6 of 6 pairs under main",
    ]
