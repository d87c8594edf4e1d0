"""These tests simulate pairs with known truth: who wins, who is rejected, and what intervals cover.

Each simulation has a fixed seed, and bounds that a right rule would break in fewer than one of
10,000 seeds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from objectives.speech.wer import Gate, WordVerdict
from study.confirmation.protocol import ClaimRule, MetricKey, confidence
from study.confirmation.verdict import judge as judging
from study.confirmation.verdict import metric_comparison, paired_statistics, reasons
from study.confirmation.verdict.evidence import Evidence
from study.confirmation.verdict.judge import PairsVerdict, judge_pairs
from study.confirmation.verdict.paired_statistics import (
    chance,
    estimate,
    pairs_needed,
    sign_flip_p,
)
from study.spec.model import Claim

SAME = Gate(WordVerdict.PASS, 0.0, 0.0, 0.0)
RULE = ClaimRule("llm_latency_ms")
TEN_PCT = -math.log(0.9)
Noise = Callable[[np.random.Generator, int], np.ndarray]
NOISES: dict[str, Noise] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails": lambda rng, n: rng.standard_t(3, size=n) / math.sqrt(3),
    "launches that now and then are slow": lambda rng, n: (
        rng.exponential(size=n) - rng.exponential(size=n)
    ),
    "two kinds of day": lambda rng, n: rng.normal(size=n) * rng.choice((0.3, 1.38), size=n),
}


@pytest.fixture(autouse=True, scope="module")
def _remembered() -> Iterator[None]:
    """Remember what is pure for the same figures: a simulation asks again at each look."""
    flips, interval, win = (lru_cache(20_000)(f) for f in (sign_flip_p, estimate, chance))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paired_statistics, "sign_flip_p", lambda gains: flips(tuple(gains)))
        for module in (metric_comparison, reasons):
            patch.setattr(module, "estimate", lambda gains, level: interval(tuple(gains), level))
        patch.setattr(judging, "chance", win)
        yield


def played(
    rng: np.random.Generator,
    *,
    gain: float,
    launch_noise: float,
    others: int = 0,
    others_gain: float = 0.0,
    targets: Sequence[int] = (6,),
    noise: Noise = NOISES["normal"],
) -> PairsVerdict:
    """Simulate one confirmation; while it is inconclusive, the next target is asked for.

    `launch_noise` is the standard deviation of one launch, as a log-ratio; a pair has sqrt(2) times
    as much.
    """
    n, pair_noise = max(targets), launch_noise * math.sqrt(2)
    gains = {RULE.primary: gain + pair_noise * noise(rng, n)}
    for i in range(others):
        gains[MetricKey(f"w{i}", "stt_latency_ms")] = others_gain + pair_noise * noise(rng, n)
    for i, target in enumerate(targets):
        known = Evidence(
            gains={k: tuple(map(float, v[:target])) for k, v in gains.items()}, words=SAME
        )
        answer = judge_pairs(known, RULE, targets[: i + 1])
        if answer.status != "inconclusive":
            break
    return answer


def shares(runs: int, **how: object) -> dict[str, float]:
    rng = np.random.default_rng(1)
    counted = Counter(played(rng, **how).status for _ in range(runs))  # type: ignore[arg-type]
    return {status: counted[status] / runs for status in ("confirmed", "rejected", "inconclusive")}


def above(share: float, runs: int) -> float:
    """Return the share that a true `share` exceeds by chance in one of 10,000 seeds."""
    return float(stats.binom.ppf(0.9999, runs, share)) / runs


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("launch_noise", [0.01, 0.06])
def test_the_baseline_wins_against_itself_in_five_of_a_hundred_cases_at_most(
    noise: str, launch_noise: float
) -> None:
    runs = 600
    found = shares(runs, gain=0.0, launch_noise=launch_noise, noise=NOISES[noise])
    assert found["confirmed"] <= above(0.05, runs)


@pytest.mark.parametrize("targets", [(12,), (6, 8, 10, 12, 16, 24)])
def test_nor_does_it_win_more_often_where_somebody_looks_early_or_asks_for_more_and_more_pairs(
    targets: tuple[int, ...],
) -> None:
    runs = 600
    assert shares(runs, gain=0.0, launch_noise=0.05, targets=targets)["confirmed"] <= above(
        0.05, runs
    )


def test_with_normal_noise_and_one_look_it_wins_as_often_as_promised() -> None:
    runs = 2000
    share = shares(runs, gain=0.0, launch_noise=0.05)["confirmed"]
    assert 1 - above(1 - 0.025, runs) <= share <= above(0.025, runs)


@pytest.mark.parametrize(("launch_noise", "promised"), [(0.02, 0.99), (0.04, 0.90), (0.05, 0.75)])
def test_a_true_ten_percent_is_found_with_the_promised_power(
    launch_noise: float, promised: float
) -> None:
    runs = 400
    found = shares(runs, gain=TEN_PCT, launch_noise=launch_noise)
    assert found["confirmed"] >= promised - (above(promised, runs) - promised)
    assert found["rejected"] <= above(0.001, runs)


@pytest.mark.parametrize(
    ("launch_noise", "targets", "promised"), [(0.01, (6,), 0.97), (0.02, (12,), 0.85)]
)
def test_it_is_found_too_where_twenty_other_metrics_must_be_no_worse(
    launch_noise: float, targets: tuple[int, ...], promised: float
) -> None:
    runs = 200
    found = shares(runs, gain=TEN_PCT, launch_noise=launch_noise, others=20, targets=targets)
    assert found["confirmed"] >= promised - (above(promised, runs) - promised)


def test_a_winner_much_worse_elsewhere_is_rejected_and_one_at_the_margin_seldom_confirmed() -> None:
    runs = 300
    worse = shares(runs, gain=TEN_PCT, launch_noise=0.01, others=1, others_gain=-0.15)
    assert worse["rejected"] >= 0.95
    margin = shares(runs, gain=TEN_PCT, launch_noise=0.01, others=1, others_gain=-math.log(1.05))
    assert margin["confirmed"] <= above(0.025, runs)
    assert margin["rejected"] <= above(0.05, runs)


def test_a_harmless_winner_is_not_rejected_for_one_of_twenty_metrics() -> None:
    runs = 300
    found = shares(runs, gain=TEN_PCT, launch_noise=0.05, others=20)
    assert found["rejected"] <= above(0.05, runs)


def test_a_winner_that_is_worse_is_rejected_early() -> None:
    rng = np.random.default_rng(1)
    found = [played(rng, gain=-0.1, launch_noise=0.01) for _ in range(200)]
    assert {v.status for v in found} == {"rejected"}
    assert np.mean([v.pairs for v in found]) < 4


def test_what_cannot_come_any_more_is_not_waited_for() -> None:
    rng = np.random.default_rng(1)
    found = [played(rng, gain=0.0, launch_noise=0.02, targets=(12,)) for _ in range(200)]
    assert np.mean([v.pairs for v in found]) < 8
    assert not any(v.pairs_more == 0 for v in found)


@pytest.mark.parametrize("pairs", [6, 12])
@pytest.mark.parametrize("level", [0.95, 0.975])
def test_intervals_cover_the_truth_as_often_as_they_say(pairs: int, level: float) -> None:
    rng, runs = np.random.default_rng(1), 4000
    covered = 0
    for _ in range(runs):
        found = estimate(list(0.1 + 0.05 * rng.normal(size=pairs)), level)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0.1 <= found.high
    assert 1 - above(1 - level, runs) <= covered / runs <= above(level, runs)


def test_the_interval_of_the_verdict_covers_also_where_the_rule_chose_when_to_stop() -> None:
    rng, runs, covered = np.random.default_rng(1), 1500, 0
    for _ in range(runs):
        found = played(rng, gain=0.08, launch_noise=0.05, targets=(6, 12)).finding(RULE.primary)
        assert found is not None and found.estimate is not None
        low, high = found.estimate.low, found.estimate.high
        covered += low is not None and high is not None and low <= 0.08 <= high
    assert covered / runs >= 1 - above(0.075, runs)  # 5 % at the first look and 2.5 % at the second


def test_sign_flips_are_exact_without_normal_noise() -> None:
    rng, runs = np.random.default_rng(1), 2000
    found = np.array([sign_flip_p(list(rng.standard_cauchy(8))) for _ in range(runs)])
    for level in (0.05, 0.10, 0.50):
        assert np.mean(found <= level) <= above(level, runs)


def test_sign_flips_of_many_pairs_are_drawn_and_agree_with_the_exact_ones() -> None:
    values = list(0.02 + 0.05 * np.random.default_rng(4).normal(size=12))
    assert sign_flip_p([*values, 0.0]) == pytest.approx(sign_flip_p(values), abs=0.03)


def test_what_does_not_differ_at_all_is_no_gain_and_no_noise() -> None:
    found = estimate([0.0] * 6)
    assert (found.low, found.high, found.p, found.sign_flip_p) == (0.0, 0.0, 1.0, 1.0)
    assert chance(found, 10, 0.95) == 0.0
    assert pairs_needed(found, 0.0, 0.95) is None
    assert pairs_needed(found, -0.05, 0.95) == 6


def test_a_single_pair_has_no_interval() -> None:
    found = estimate([0.1])
    assert (found.sd, found.low, found.high, found.p, found.sign_flip_p) == (
        None,
        None,
        None,
        None,
        1.0,
    )


def test_the_pairs_that_it_would_take_decide_about_as_often_as_said() -> None:
    gains = [0.02, 0.10, -0.02, 0.08, 0.03, 0.09]
    found = estimate(gains)
    needed = pairs_needed(found, 0.0, 0.95)
    assert needed is not None and found.sd is not None
    rng, runs = np.random.default_rng(1), 1000
    wins = sum(
        (estimate(list(rng.normal(found.mean, found.sd, needed))).low or 0) > 0 for _ in range(runs)
    )
    assert 0.72 < wins / runs < 0.92


def test_the_chance_of_a_win_is_small_where_the_mean_is_bad_and_large_where_it_is_good() -> None:
    assert chance(estimate([-0.03, -0.01, -0.02, -0.04]), 6, 0.95) < 0.02
    assert chance(estimate([0.10, 0.11, 0.09, 0.10]), 6, 0.95) > 0.9


def test_the_chances_of_all_looks_to_err_are_five_percent_together() -> None:
    one_sided = [(1 - confidence(look)) / 2 for look in range(1, 40)]
    assert sum(one_sided) == pytest.approx(0.05)


@pytest.mark.parametrize("claim", ["fitness", "capacity_turns_per_s"])
def test_the_claim_may_be_any_of_the_five(claim: Claim) -> None:
    rule = ClaimRule(claim)
    known = Evidence(gains={rule.primary: (0.1, 0.11, 0.12, 0.1, 0.09, 0.1)}, words=SAME)
    assert judge_pairs(known, rule, [6]).status == "confirmed"
