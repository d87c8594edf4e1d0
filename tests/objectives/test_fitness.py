"""The fitness weighs bounded terms that rise with what is better, relative to the baseline."""

from dataclasses import replace

import pytest
from made.factories import changed, only

from objectives.fitness import (
    PRESETS,
    Reference,
    capacity_term,
    fitness,
    fixed_fitness,
    reference_of,
)
from objectives.measurement import INFINITE

BASE = only(
    stt_latency_p95_ms=800,
    llm_latency_p95_ms=2000,
    capacity_turns_per_s=8,
    failure_rate=0.0,
    free_memory_mib=1000,
    own_memory_pct=70,
)
REFERENCE = reference_of(BASE)


def value(measured, weights=None, reference=REFERENCE):
    return fitness(measured, reference, weights or PRESETS["balanced"], headroom_mib=1000)


def test_the_baseline_itself_is_one_half_in_what_is_relative():
    assert value(BASE).contributions == {
        "stt": 0.125,
        "llm": 0.125,
        "capacity": 0.1,
        "stability": 0.2,
        "efficiency": 0.1,
    }
    assert value(BASE).value == 0.65


@pytest.mark.parametrize(
    "better",
    [
        {"stt_latency_p95_ms": 790},
        {"llm_latency_p95_ms": 1990},
        {"capacity_turns_per_s": 9},
    ],
)
def test_better_is_more(better):
    assert value(changed(BASE, **better)).value > value(BASE).value


@pytest.mark.parametrize(
    "worse",
    [
        {"stt_latency_p95_ms": 810},
        {"llm_latency_p95_ms": INFINITE},
        {"capacity_turns_per_s": 0},
        {"capacity_turns_per_s": None},
        {"failure_rate": 0.1},
        {"free_memory_mib": 990},
        {"free_memory_mib": -5},
        {"free_memory_mib": None},
        {"own_memory_pct": 71},
        {"own_memory_pct": 69},
        {"own_memory_pct": 150},
    ],
)
def test_worse_is_less_and_never_below_zero(worse):
    score = value(changed(BASE, **worse))
    assert score.value < value(BASE).value
    assert all(part is None or part >= 0 for part in score.contributions.values())


def test_medians_are_not_in_it():
    assert value(
        changed(BASE, stt_latency_ms=1, llm_latency_ms=1, llm_ttft_ms=1, gpu_busy_pct=100)
    ) == value(BASE)


def test_parts_add_up_whatever_the_weights_sum_to():
    weights = {"stt": 5, "llm": 3, "capacity": 1, "stability": 1, "efficiency": 0}
    score = value(BASE, weights)
    assert sum(score.contributions.values()) == pytest.approx(score.value)
    assert score.value == pytest.approx(0.5 * 0.5 + 0.3 * 0.5 + 0.1 * 0.5 + 0.1)
    assert score == value(BASE, {k: 10 * v for k, v in weights.items()})


@pytest.mark.parametrize("name", PRESETS)
def test_presets_sum_to_one(name):
    assert sum(PRESETS[name].values()) == pytest.approx(1)


def test_a_reference_without_capacity_leaves_the_term_out_for_all():
    reference = replace(REFERENCE, capacity_turns_per_s=None)
    for rate in (None, 64.0):
        score = value(changed(BASE, capacity_turns_per_s=rate), reference=reference)
        assert score.contributions["capacity"] is None
        assert score.value == pytest.approx((0.125 + 0.125 + 0.2 + 0.1) / 0.8)


def test_a_launch_at_which_no_rate_is_good_has_no_capacity():
    none_good = changed(BASE, capacity_turns_per_s=None, capacity_bound_by="stt_latency_p95_ms")
    assert none_good.capacity_or_0 == 0
    assert value(none_good).contributions["capacity"] == 0
    assert reference_of(none_good).capacity_turns_per_s == 0
    assert [capacity_term(n, 0.0) for n in (0.0, 1.0)] == [0, 1]


@pytest.mark.parametrize("missing", [None, INFINITE])
def test_a_baseline_without_finite_latencies_gives_no_reference(missing):
    assert reference_of(changed(BASE, llm_latency_p95_ms=missing)) is None
    assert reference_of(changed(BASE, stt_latency_p95_ms=missing)) is None
    assert Reference({"stt": 800, "llm": 2000}, 8) == REFERENCE


def test_the_older_fixed_caps_are_kept():
    old = only(
        stt_latency_ms=999, llm_latency_ms=999, concurrent_capacity=5, gpu_utilization_pct=90.4
    )
    assert fixed_fitness(old, PRESETS["balanced"]).value == pytest.approx(0.309, abs=5e-4)
    best = only(stt_latency_ms=0, llm_latency_ms=0, concurrent_capacity=40, gpu_utilization_pct=70)
    assert fixed_fitness(best, PRESETS["balanced"]).value == 1
    endless = only(stt_latency_ms=INFINITE)
    assert fixed_fitness(endless, PRESETS["balanced"]).value == 0.2  # its stability is always 1
