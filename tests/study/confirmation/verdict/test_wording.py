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
from study.rule.verdict import Cause, RuleVerdict, VerdictReason, VerdictStatus

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
    sentence = claims_in_words(judged(capacity=1.3, latency=0.9), RULE, 6)
    assert sentence.startswith("capacity: at least 28 % more (+30.0 %, 97.5 % interval +28.")
    assert sentence.endswith("6 pairs)") and "latency" not in sentence
    sentence = claims_in_words(judged(latency=0.9), RULE, 6)
    assert sentence.startswith("latency at today's load: at least 9 % shorter (+10.0 %, 97.5 %")


def test_a_claim_that_is_not_shown_is_not_told_beside_one_that_is() -> None:
    sentence = claims_in_words(judged(capacity=1.3), RULE, 6)
    assert sentence.startswith("capacity: at least 28 % more") and "latency" not in sentence


def test_before_the_first_look_nothing_is_claimed() -> None:
    verdict = judged(capacity=2.0, pairs=5)
    assert claims_in_words(verdict, RULE, 5) == "5 of 6 pairs, before which nothing is claimed"
    assert reasons(verdict, RULE) == ["5 of at least 6 pairs"]


def test_what_is_not_confirmed_names_each_claim_with_its_interval_and_promises_nothing() -> None:
    verdict = judged(capacity=2.0, tpot_ms=130.0)
    sentence = claims_in_words(verdict, RULE, 6)
    assert verdict.status is VerdictStatus.REJECTED
    assert "at least" not in sentence and sentence.endswith("(positive is better)")
    assert sentence.startswith("capacity: +100.") and "latency at today's load: " in sentence


def test_a_broken_limit_says_what_one_more_launch_may_take_and_what_todays_take() -> None:
    [reason] = reasons(judged(capacity=2.0, tpot_ms=130.0), RULE)
    assert reason.startswith("LLM each token p95 (llm_tpot_p95_ms) under main breaks its limit")
    assert (
        "of 100 ms: today's launches take 35 ms, and one more of the winner may take 13" in reason
    )


def test_a_figure_inside_its_limit_that_may_be_more_than_twice_todays_says_just_that() -> None:
    verdict = judged(capacity=2.0, tpot_ms=69.5)
    [reason] = reasons(verdict, RULE)
    assert verdict.status is VerdictStatus.INCONCLUSIVE
    assert "under main is inside its limit of 100 ms, but one more launch of the winner" in reason
    assert reason.endswith(", more than 2 x today's 35 ms") and "not shown" not in reason


def test_what_gets_worse_has_its_interval() -> None:
    verdict = judged(capacity=2.0, tpot_ms=50.0)
    assert verdict.status is VerdictStatus.CONFIRMED
    [worse] = verdict.worse
    sentence = worse_in_words(worse)
    assert (
        sentence.startswith("LLM each token p95 (llm_tpot_p95_ms) on main: -4")
        and " to -4" in sentence
    )


@pytest.mark.parametrize(
    ("pairs_more", "words"),
    [(None, "inconclusive after 12 pairs, the last look"), (6, "12 pairs, 6 more may tell")],
)
def test_an_inconclusive_verdict_says_whether_more_pairs_may_tell(
    pairs_more: int | None, words: str
) -> None:
    assert words in status_in_words("inconclusive", 12, pairs_more)


@pytest.mark.parametrize("reason", VerdictReason)
def test_every_reason_is_a_sentence_that_names_what_it_has(reason: VerdictReason) -> None:
    of_claim = reason.name.startswith(("CLAIM_", "HELD_OUT_"))
    name = Claim.CAPACITY if of_claim else TPOT
    cause = Cause(reason, "main", name, 2.0, "CUDA out of memory")
    sentence = cause_in_words(cause, judged(tpot_ms=120.0), RULE)
    assert sentence.isprintable() and not set(sentence) & set("{}") and not sentence.endswith(".")
    if reason in (VerdictReason.WINNER_FAILED, VerdictReason.BASELINE_FAILED):
        assert sentence.endswith("CUDA out of memory")
    if of_claim:
        assert "capacity" in sentence
    elif reason.name.startswith(("LIMIT_", "WATCHED_", "FIGURE_")):
        assert "LLM each token p95" in sentence and "main" in sentence


def test_no_good_rate_is_not_told_as_not_measured() -> None:
    figures = {("main", CAPACITY): Arms((0.0,) * 6, (0.0,) * 6)}
    rule = Rule(claim=Claim.CAPACITY, weights={}, limits={})
    verdict = judge(figures, HardFacts(), rule)
    assert claims_in_words(verdict, rule, 6) == "capacity: no good rate (positive is better)"
    assert reasons(verdict, rule) == [
        "no rate is good for the baseline in 6 of 6 pairs under main",
        "no rate is good for the winner in 6 of 6 pairs under main",
    ]
