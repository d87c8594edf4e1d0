"""A gain is one figure with one interval, which holds the truth as often as it says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from made.configurations import launched
from made.factories import only

from objectives.measurement import INFINITE
from study.analysis.configurations import Configuration
from study.analysis.gain import gain_in, gain_of
from study.rule.rule import Claim

WEIGHTS = {"stt": 0.25, "llm": 0.25}


def configuration(number: int, launches: Sequence[dict[str, Any]]) -> Configuration:
    """Return a configuration with a launch for each of these figures."""
    return launched(number, [only(**figures) for figures in launches])


def timed(number: int, *p95_ms: tuple[float, float], **more: object) -> Configuration:
    """Return a configuration with these p95 of speech and LLM, a pair a launch."""
    return configuration(
        number,
        [{"stt_latency_p95_ms": a, "llm_latency_p95_ms": b} | more for a, b in p95_ms],
    )


def test_the_latency_is_the_weighed_mean_of_log_ratios() -> None:
    today, other = timed(0, (200.0, 900.0)), timed(1, (100.0, 900.0))
    gain = gain_of(other, today, [today, other], WEIGHTS, Claim.EITHER)
    assert gain is not None and gain.figure is Claim.LATENCY
    assert gain.log_ratio == pytest.approx(math.log(2) / 2)
    assert gain.pct == pytest.approx(100 * (1 - 0.5**0.5))
    assert gain.interval_pct is None and not gain.is_shown, "one launch each"
    llm_alone = gain_of(other, today, [today, other], {"stt": 0.0, "llm": 0.7}, Claim.EITHER)
    assert llm_alone is not None and llm_alone.log_ratio == 0.0
    alike = gain_of(other, today, [today, other], {"stt": 0.0, "llm": 0.0}, Claim.EITHER)
    assert alike is not None and alike.log_ratio == pytest.approx(math.log(2) / 2)


def test_where_it_is_known_capacity_is_told_unless_only_latency_is_shown() -> None:
    fast = [(100.0, 900.0), (101.0, 905.0), (99.0, 910.0), (100.0, 902.0)]
    slow = [(200.0, 1800.0), (201.0, 1805.0), (199.0, 1810.0), (200.0, 1802.0)]

    def served(number: int, times: list[tuple[float, float]], rates: list[float]) -> Configuration:
        launches = [
            {"stt_latency_p95_ms": a, "llm_latency_p95_ms": b, "capacity_turns_per_s": rate}
            for (a, b), rate in zip(times, rates, strict=True)
        ]
        return configuration(number, launches)

    today = served(0, slow, [4.0, 4.1, 4.2, 3.9])
    both, quick = served(1, fast, [6.0, 6.1, 6.2, 5.9]), served(2, fast, [4.1, 4.0, 4.3, 3.9])
    gain = gain_of(both, today, [today, both], WEIGHTS, Claim.EITHER)
    assert gain is not None and (gain.figure, gain.confidence) == (Claim.CAPACITY, 0.975)
    assert gain.is_shown and gain.pct == pytest.approx(100 * (6.05 / 4.05 - 1), abs=1)
    gain = gain_of(quick, today, [today, quick], WEIGHTS, Claim.EITHER)
    assert gain is not None and gain.figure is Claim.LATENCY and gain.is_shown
    alone = gain_in(Claim.CAPACITY, quick, today, [today, quick], WEIGHTS)
    assert alone is not None and not alone.is_shown and alone.confidence == 0.95


@pytest.mark.parametrize(
    ("old", "new", "is_told", "is_at_least"),
    [
        ((4.0, "kv"), (6.0, "kv"), True, False),
        ((4.0, "kv"), (6.0, "generator"), True, True),
        ((4.0, "generator"), (6.0, "kv"), False, False),
        ((6.0, "kv"), (4.0, "generator"), False, False),
        ((4.0, "kv"), (None, "llm"), False, False),
    ],
)
def test_a_capacity_of_unknown_order_is_no_gain(
    old: tuple[float | None, str],
    new: tuple[float | None, str],
    is_told: bool,
    is_at_least: bool,
) -> None:
    today, other = (
        timed(n, (100.0, 900.0), capacity_turns_per_s=rate, capacity_bound_by=bound)
        for n, (rate, bound) in enumerate((old, new))
    )
    gain = gain_of(other, today, [today, other], WEIGHTS, Claim.EITHER)
    assert gain is not None
    assert (gain.figure is Claim.CAPACITY, gain.is_at_least) == (is_told, is_at_least)


@pytest.mark.parametrize("lost", [INFINITE, None])
def test_what_has_no_end_or_was_not_measured_is_no_gain(lost: float | None) -> None:
    today = timed(0, (200.0, 900.0))
    other = configuration(1, [{"stt_latency_p95_ms": 100.0, "llm_latency_p95_ms": lost}])
    assert gain_of(other, today, [today, other], WEIGHTS, Claim.EITHER) is None


@pytest.mark.parametrize("launches", [1, 4])
def test_the_interval_holds_the_truth_95_times_in_100(launches: int) -> None:
    rng, hits, runs = np.random.default_rng(16), 0, 600
    truth = math.log(1.2)
    for _ in range(runs):
        counts = (launches, launches, *[2] * 6)
        means = (truth, 0.0, *[0.1 * n for n in range(6)])
        all_of = [
            timed(n, *(tuple(1000.0 * np.exp(mean + 0.1 * rng.normal(size=2))) for _ in range(c)))
            for n, (mean, c) in enumerate(zip(means, counts, strict=True))
        ]
        gain = gain_of(all_of[1], all_of[0], all_of, WEIGHTS, Claim.EITHER)
        assert gain is not None and gain.half_width is not None
        hits += abs(gain.log_ratio - truth) <= gain.half_width
    assert 0.925 * runs <= hits <= 0.975 * runs
