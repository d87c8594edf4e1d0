"""No measurement can become better than the best case of its beginning."""

import math

import pytest
from made.factories import measurement, only

from objectives.fitness import PRESETS, Reference, fitness, fixed_fitness
from objectives.load.segments import at_best

WEIGHTS = PRESETS["balanced"]
REFERENCE = Reference({"stt": 800.0, "llm": 2500.0}, 8.0)
SERVICES = ("stt", "llm")
FIGURES = (
    "stt_latency_p95_ms",
    "llm_latency_p95_ms",
    "capacity_turns_per_s",
    "free_memory_mib",
    "own_memory_pct",
    "failure_rate",
)


def value(measured):
    return fitness(measured, REFERENCE, WEIGHTS, headroom_mib=1024).value


def test_a_whole_measurement_is_its_own_best_case():
    assert value(at_best(measurement(), SERVICES)) == value(measurement())


def test_of_nothing_every_term_is_whole():
    assert value(at_best(only(), SERVICES)) == pytest.approx(1.0)
    assert fixed_fitness(at_best(only(), SERVICES), WEIGHTS).value == pytest.approx(1.0)


@pytest.mark.parametrize("lacking", FIGURES)
def test_what_lacks_a_figure_is_worth_no_less_than_with_any_value_of_it(lacking):
    usual = {name: measurement().figure(name) for name in FIGURES} | {"device_total_mib": 12_000.0}
    usual |= {"free_memory_mib": 500.0, "own_memory_pct": 50.0, "failure_rate": 0.1}
    best = value(at_best(only(**{k: v for k, v in usual.items() if k != lacking}), SERVICES))
    for figure in (0.0, 0.5, 70.0, 900.0):
        assert best >= value(only(**usual | {lacking: figure}))
    assert best > value(only(**usual))


def test_a_capacity_of_no_rate_is_measured():
    none = only(capacity_bound_by="stt", stt_latency_p95_ms=100.0, llm_latency_p95_ms=100.0)
    assert at_best(none, SERVICES).capacity_or_0 == 0
    assert at_best(only(), SERVICES).capacity_turns_per_s == math.inf
