"""These tests simulate whole confirmations with known truth, a seed's effect among it.

Each has a fixed seed, and bounds that a right rule would break in fewer than one of 10,000 seeds.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from simulations.confirmations import (
    BASELINE,
    EAGER,
    GRAPHS,
    NOISES,
    OLDER,
    RULE,
    SEED_OF_RATIO,
    Confirmations,
)

from objectives.figures import CAPACITY, GOODPUT, Direction
from study.rule.hard_facts import HardFacts
from study.rule.judge import judge
from study.rule.rule import Claim, Rule
from study.rule.student_t import t_quantile
from study.rule.verdict import RuleVerdict, VerdictStatus

# nothing but the claim: all that the limits and the held-out workloads add makes a win rarer
BARE = Rule(weights=RULE.weights, limits={})
FASTER = {name: 1 / 1.2 for name in BASELINE if "latency_p95" in name}
SLOW_TOKENS = {"llm_tpot_p95_ms": 120 / 35, "llm_tpot_ms": 110 / 32}  # the limit is 100 ms


def verdicts(count: int, **truth: Any) -> list[RuleVerdict]:
    played = Confirmations(**truth)
    return [judge(figures, HardFacts(), played.rule) for figures in played.runs(count)]


def shares(outcomes: list[RuleVerdict]) -> dict[VerdictStatus, float]:
    counted = Counter(v.status for v in outcomes)
    return {status: counted[status] / len(outcomes) for status in VerdictStatus}


def above(share: float, runs: int) -> float:
    """Return the share that a true `share` exceeds by chance in one of 10,000 seeds."""
    return float(stats.binom.ppf(0.9999, runs, share)) / runs


@pytest.mark.parametrize(("claim", "looks"), [(c, n) for c in Claim for n in (6, 12)])
def test_the_errors_of_both_looks_and_of_both_claims_add_up_to_no_more_than_they_may(
    claim: Claim, looks: int
) -> None:
    runs, promised = 1200, {6: 0.025, 12: 0.0375}[looks]
    portions = shares(verdicts(runs, rule=replace(BARE, claim=claim), pairs=looks))
    assert portions[VerdictStatus.CONFIRMED] <= above(promised, runs)
    assert portions[VerdictStatus.CONFIRMED] >= promised / 3  # the test can tell


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("launch_noise", [EAGER, OLDER])
def test_no_gain_is_confirmed_in_five_of_a_hundred_cases_at_most(
    noise: str, launch_noise: float
) -> None:
    runs = 500
    alone = verdicts(runs, rule=BARE, noise=noise, launch_noise=launch_noise)
    assert shares(alone)[VerdictStatus.CONFIRMED] <= above(0.05, runs)
    whole = verdicts(150, noise=noise, launch_noise=launch_noise, is_seed_shared=True)
    assert shares(whole)[VerdictStatus.CONFIRMED] <= above(0.025, 150)


@pytest.mark.parametrize(
    ("truth", "claim", "launch_noise", "pairs"),
    [
        ({CAPACITY: 1.2}, Claim.EITHER, GRAPHS, 6),
        ({CAPACITY: 1.2}, Claim.CAPACITY, EAGER, 6),
        ({CAPACITY: 1.2}, Claim.EITHER, EAGER, 12),
        (FASTER, Claim.EITHER, EAGER, 6),
        ({CAPACITY: 1.2, **FASTER}, Claim.EITHER, EAGER, 6),
    ],
)
def test_a_true_twenty_percent_is_confirmed_in_nine_of_ten_cases(
    truth: dict[str, float], claim: Claim, launch_noise: float, pairs: int
) -> None:
    rule = replace(RULE, claim=claim)
    outcomes = verdicts(300, times=truth, rule=rule, launch_noise=launch_noise, pairs=pairs)
    assert shares(outcomes)[VerdictStatus.CONFIRMED] >= 0.90
    assert shares(outcomes)[VerdictStatus.REJECTED] <= above(0.01, 300)


@pytest.mark.parametrize("launch_noise", [GRAPHS, EAGER, OLDER])
@pytest.mark.parametrize("is_everywhere", [True, False])
def test_a_harmful_winner_is_never_confirmed_whatever_it_gains(
    launch_noise: float, is_everywhere: bool
) -> None:
    gain = {CAPACITY: 2.0, **FASTER}
    times = {**gain, **SLOW_TOKENS}
    held_out = None if is_everywhere else gain
    outcomes = verdicts(200, times=times, held_out_times=held_out, launch_noise=launch_noise)
    assert shares(outcomes)[VerdictStatus.CONFIRMED] == 0
    assert shares(outcomes)[VerdictStatus.REJECTED] >= 0.90


def test_either_misses_nine_of_ten_at_six_pairs_of_eager_launches() -> None:
    outcomes = verdicts(300, times={CAPACITY: 1.2}, launch_noise=EAGER, pairs=6)
    assert 0.83 <= shares(outcomes)[VerdictStatus.CONFIRMED] < 0.95  # 88 % in the guide


@pytest.mark.parametrize("launch_noise", [GRAPHS, EAGER])
@pytest.mark.parametrize("is_everywhere", [True, False])
@pytest.mark.parametrize(
    "harm", [{**FASTER, CAPACITY: 1.5 / 4.0}, {CAPACITY: 2.0, **FASTER, GOODPUT: 0.6}]
)
def test_nor_is_one_whose_capacity_or_goodput_falls(
    harm: dict[str, float], is_everywhere: bool, launch_noise: float
) -> None:
    held_out = None if is_everywhere else {CAPACITY: 2.0, **FASTER}
    outcomes = verdicts(
        100,
        times=harm,
        held_out_times=held_out,
        launch_noise=launch_noise,
        levels={**BASELINE, GOODPUT: 99.0},
        rule=replace(RULE, watched={**RULE.watched, GOODPUT: Direction.UP}),
    )
    assert shares(outcomes)[VerdictStatus.CONFIRMED] == 0
    assert shares(outcomes)[VerdictStatus.REJECTED] >= 0.90


def test_nor_is_one_whose_tokens_take_twice_as_long_though_inside_the_limit() -> None:
    rule = replace(RULE, held_out=())
    times = {CAPACITY: 2.0, "llm_tpot_p95_ms": 2.0, "llm_tpot_ms": 2.0}
    outcomes = verdicts(400, times=times, rule=rule)
    assert shares(outcomes)[VerdictStatus.CONFIRMED] <= above(0.005, 400)


def test_tokens_that_take_half_as_long_again_inside_the_limit_are_listed_and_do_not_reject() -> (
    None
):
    times = {CAPACITY: 1.2, "llm_tpot_p95_ms": 1.5, "llm_tpot_ms": 1.5}
    outcomes = verdicts(200, times=times)
    assert shares(outcomes)[VerdictStatus.CONFIRMED] >= 0.90
    listed = [{w.figure for w in v.worse} for v in outcomes if v.status is VerdictStatus.CONFIRMED]
    assert all("llm_tpot_p95_ms" in figures for figures in listed)


@pytest.mark.parametrize("launch_noise", [GRAPHS, OLDER])
def test_a_winner_that_harms_nothing_is_rejected_in_five_of_a_hundred_cases_at_most(
    launch_noise: float,
) -> None:
    outcomes = verdicts(200, times={CAPACITY: 1.2}, launch_noise=launch_noise)
    assert shares(outcomes)[VerdictStatus.REJECTED] <= above(0.05, 200)


def test_a_gain_on_the_studys_own_workload_alone_is_not_confirmed() -> None:
    outcomes = verdicts(200, times={CAPACITY: 1.4}, held_out_times={})
    assert shares(outcomes)[VerdictStatus.CONFIRMED] <= above(0.0375, 200)


def test_at_least_so_much_better_is_true_wherever_the_rule_chose_to_stop() -> None:
    runs, truth = 1000, {CAPACITY: 1.15}
    outcomes = verdicts(runs, times=truth, rule=replace(BARE, claim=Claim.CAPACITY))
    lows = [v.claims[0].at_least_pct for v in outcomes]
    wrong = sum(low is not None and low > 15 for low in lows) / runs
    assert wrong <= above(0.0375, runs)


@pytest.mark.parametrize(("launch_noise", "covers"), [(GRAPHS, 0.15), (EAGER, 0.53)])
def test_with_one_seed_in_all_pairs_an_interval_says_nothing_of_other_arrivals(
    launch_noise: float, covers: float
) -> None:
    rng, runs, pairs = np.random.default_rng(1), 20_000, 6
    old, new = launch_noise * rng.normal(size=(2, runs, pairs))

    def coverage(of_seed: np.ndarray) -> float:
        gains = SEED_OF_RATIO * of_seed + new - old
        arm = t_quantile(pairs - 1) * gains.std(axis=1, ddof=1) / math.sqrt(pairs)
        return float(np.mean(np.abs(gains.mean(axis=1)) <= arm))

    assert coverage(rng.normal(size=(runs, 1))) == pytest.approx(covers, abs=0.02)
    assert coverage(rng.normal(size=(runs, pairs))) == pytest.approx(0.95, abs=0.007)
