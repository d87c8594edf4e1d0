"""These tests make arms and facts of a journal: what counts, what was not measured, what drifts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.factories import STRESS, oom, pair, words
from made.live_factories import promotion

from objectives.allocation import Allocation
from objectives.figures import CAPACITY
from study.confirmation.records import FailedLaunch, Head, Pair, PairsJournal
from study.confirmation.subject import Subject, subject
from study.confirmation.verdict.arms import arms_of
from study.confirmation.verdict.assess import counted_pairs, has_drift, verdict_of_pairs
from study.confirmation.verdict.facts import RESTART, failed_more, hard_facts, words_of
from study.rule.hard_facts import HardFacts, LaunchFailure
from study.rule.pairs import Arms
from study.rule.rule import Claim, Rule
from study.rule.verdict import VerdictReason, VerdictStatus

HEAD = Head(promotion="p", claim="either", workloads={}, servers={}, product="x", total_mib=1)
RULE = Rule(weights={"stt": 0.25, "llm": 0.25}, held_out=("voice_assistant",))
BOTH = ("main", "voice_assistant")


@pytest.fixture
def of(tmp_path: Path) -> Subject:
    return subject(promotion(tmp_path), claim=Claim.EITHER, ramp_s=75)


def journal(*pairs: Pair, **more: Any) -> PairsJournal:
    return PairsJournal(head=HEAD, pairs=pairs, **{"stress": STRESS, **more})


def several(count: int, winner: dict[str, float], stage: str = "ab") -> list[Pair]:
    """Return pairs of a steady baseline and a winner whose figures differ by a little."""
    return [
        pair(
            n,
            {},
            {name: value * (1 + n % 3 / 1000) for name, value in winner.items()},
            stage=stage,
            workloads=BOTH,
        )
        for n in range(1, count + 1)
    ]


def facts(pairs_journal: PairsJournal, of: Subject) -> HardFacts:
    return hard_facts(pairs_journal, of, has_drift=False)


def test_both_launches_of_a_pair_stand_in_their_arms_whichever_came_first() -> None:
    pairs = [pair(n, {CAPACITY: 3.0 + n}, {CAPACITY: 5.0 + n}) for n in (1, 2)]
    arms = arms_of(pairs, RULE)
    assert arms["main", CAPACITY] == Arms((4.0, 5.0), (6.0, 7.0))
    assert arms["voice_assistant", CAPACITY] == Arms((None, None), (None, None))
    assert {("main", "llm_tpot_p95_ms"), ("main", "llm_latency_p95_ms")} <= arms.keys()


def test_a_capacity_that_is_only_a_lower_bound_tells_nothing_of_the_baseline() -> None:
    """The winner's is understated by it, which cannot make it win."""
    bound = {CAPACITY: 4.0, "capacity_bound_by": "generator"}
    pairs = [pair(1, bound, bound), pair(1, bound, bound, stage="aa")]
    assert arms_of(pairs[:1], RULE)["main", CAPACITY] == Arms((None,), (4.0,))
    broke = [pair(1, bound, {CAPACITY: 1.5, "capacity_bound_by": "stt_latency_p95_ms"})]
    assert arms_of(broke, RULE)["main", CAPACITY] == Arms((None,), (1.5,), (4.0,))
    assert arms_of(pairs[1:], RULE)["main", CAPACITY] == Arms((None,), (None,))


def test_a_winner_for_which_no_rate_is_good_where_the_baseline_has_one_is_rejected(
    of: Subject,
) -> None:
    none = {CAPACITY: None, "capacity_bound_by": "stt_latency_p95_ms"}
    verdict = verdict_of_pairs(
        journal(*(pair(n, {}, none, workloads=BOTH) for n in range(1, 7))), of
    )
    assert verdict.status is VerdictStatus.REJECTED
    assert {(c.reason, c.name, c.value) for c in verdict.causes} == {
        (VerdictReason.NO_GOOD_RATE, "winner", 6)
    }


def test_six_pairs_of_a_larger_capacity_confirm_and_later_ones_change_nothing(of: Subject) -> None:
    pairs = several(6, {CAPACITY: 10.0})
    verdict = verdict_of_pairs(journal(*pairs), of)
    assert (verdict.status, verdict.causes) == (VerdictStatus.CONFIRMED, ())
    more = journal(*pairs, *several(6, {CAPACITY: 1.0}))
    assert counted_pairs(more, verdict_of_pairs(more, of)) == tuple(pairs)


def test_a_winner_that_ran_out_of_memory_is_rejected_and_not_for_the_baselines(of: Subject) -> None:
    fine = several(6, {CAPACITY: 10.0})
    of_baseline = pair(1, {"oom_events": 2}, {CAPACITY: 10.0}, workloads=BOTH)
    assert verdict_of_pairs(journal(of_baseline, *fine[1:]), of).status is VerdictStatus.CONFIRMED
    verdict = verdict_of_pairs(journal(pair(1, {}, {"oom_events": 2}, workloads=BOTH)), of)
    assert (verdict.status, verdict.causes[0].reason) == (
        VerdictStatus.REJECTED,
        VerdictReason.OUT_OF_MEMORY,
    )
    assert verdict.causes[0].value == 4  # under both workloads


def test_launches_that_failed_and_a_stress_that_did_are_facts_with_their_evidence(
    of: Subject,
) -> None:
    failed = FailedLaunch("baseline", "voice_assistant", oom())
    restart = replace(STRESS, failure=oom(), in_restart=True, after_restart_mib=None)
    measured_facts = facts(journal(failure=failed, stress=restart), of)
    evidence = oom().evidence
    assert measured_facts.failures == (
        LaunchFailure("baseline", "voice_assistant", "oom_budget", evidence),
        LaunchFailure("winner", RESTART, "oom_budget", evidence),
    )
    assert evidence in [c.evidence for c in verdict_of_pairs(journal(failure=failed), of).causes]


def test_the_least_free_memory_of_both_halves_of_the_stress_counts(of: Subject) -> None:
    assert facts(journal(), of).free_mib == 800.0
    assert facts(journal(stress=None), of).free_mib is None


@pytest.mark.parametrize("rate", [None, float("nan"), -5.0, 1e308])
def test_a_failure_rate_that_is_none_was_not_counted(rate: float | None) -> None:
    counted = {"failure_rate": 0.01}
    assert failed_more([pair(1, {"failure_rate": 0.0}, counted)], "main") == 0.01
    broken = pair(2, counted, counted)
    object.__setattr__(broken.of("winner").measured["main"], "failure_rate", rate)
    assert failed_more([pair(1, counted, counted), broken], "main") is None


def test_words_are_those_of_the_newest_pair(of: Subject) -> None:
    assert words_of(journal(), of).verdict == "not_measured"
    assert words_of(journal(*several(1, {})), of).verdict == "pass"
    tiny = replace(of, winner=Allocation({**of.winner.values, "whisper_model_size": "tiny"}))
    worse = journal(*several(1, {}), pair(2, {}, {"word_errors": words(24, spoken=2)}))
    assert words_of(worse, tiny).verdict == "fail"


def test_a_baseline_that_wins_against_itself_in_every_pair_drifts(of: Subject) -> None:
    assert not has_drift(journal(), of)
    assert has_drift(journal(*several(3, {CAPACITY: 10.0}, "aa")), of)
    both_ways = [pair(n, {}, {CAPACITY: c}, stage="aa") for n, c in ((1, 9.0), (2, 7.1))]
    assert not has_drift(journal(*both_ways), of)
