"""Tests show up to which difference noise could explain it, with few launches and many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made.configurations import launched
from made.factories import only

from objectives.figures import FITNESS
from objectives.measurement import INFINITE
from study.analysis.compare import figure_differences, is_capacity_order_known
from study.analysis.configurations import Configuration
from study.analysis.noise import noise_of
from study.report.comparison import comparison
from study.spec.choices import APIS


def configuration(number: int, latencies: list[float], fitness: float = 0.6) -> Configuration:
    """Return a configuration with one launch for each latency."""
    measured = [only(llm_latency_p95_ms=ms, free_memory_mib=ms) for ms in latencies]
    return launched(number, measured, fitness)


LOUD = [configuration(n, [900.0, 1000.0]) for n in range(2, 9)]


def sessions(number: int, count: int, is_bound: bool, card: str | None = None) -> Configuration:
    """Return a configuration with one launch of `count` turns/s, worth a tenth each."""
    usual = configuration(number, [1000.0])
    figures = only(
        capacity_turns_per_s=count,
        capacity_bound_by="generator" if is_bound else "kv",
        measured_on=card,
    )
    row = replace(usual.measured[0], measurement=figures, contributions={"capacity": count / 10})
    return replace(usual, measured=(row,))


@pytest.mark.parametrize(
    ("name", "relative"), [("llm_latency_p95_ms", True), ("free_memory_mib", False)]
)
def test_the_interval_by_what_was_launched_again_holds_the_truth_95_times_in_100(
    name: str, relative: bool
) -> None:
    rng, hits, runs = np.random.default_rng(29), 0, 1000
    for _ in range(runs):
        means = [6000.0, 9000.0, 3000.0, 5000.0, 7000.0, 9000.0, 12_000.0]
        configurations = [
            configuration(
                n,
                [
                    mean + rng.normal() * (0.05 * mean if relative else 300.0)
                    for _ in range(1 if n == 1 else 2)
                ],
            )
            for n, mean in enumerate(means)
        ]
        half = noise_of(name, configurations[0], configurations[1], configurations)
        assert half is not None
        gap = (configurations[1].mean(name) or 0.0) - (configurations[0].mean(name) or 0.0)
        hits += abs(gap - 3000.0) <= half
    assert 0.93 * runs <= hits <= 0.975 * runs


def test_noise_stays_unknown_where_too_little_was_launched_again() -> None:
    today, other = configuration(0, [900.0, 1000.0]), configuration(1, [500.0])
    (latency,) = [
        x
        for x in comparison(figure_differences(today, other, [today, other], APIS))
        if x.title.startswith("LLM: 95 % answered")
    ]
    assert latency.change.endswith("better, noise unknown")
    again = [configuration(n, [900.0, 1000.0]) for n in range(2, 5)]
    (latency,) = [
        x
        for x in comparison(figure_differences(today, other, [today, other, *again], APIS))
        if x.title.startswith("LLM: 95 % answered")
    ]
    assert latency.change.endswith("less (47 %), better")
    assert noise_of(FITNESS.flat, today, other, [today, other]) is None
    assert noise_of(FITNESS.flat, today, other, [today, other, *again]) == pytest.approx(
        2.776 * 0.00707 * 1.5**0.5, rel=1e-3
    )


def test_a_latency_without_an_end_tells_no_noise() -> None:
    today, other = configuration(0, [1000.0, 1010.0]), configuration(1, [500.0])
    endless = [configuration(n, [1000.0, INFINITE]) for n in range(2, 9)]
    assert noise_of("llm_latency_p95_ms", today, other, [today, other, *endless]) is None
    assert noise_of("llm_latency_p95_ms", today, configuration(1, [INFINITE]), [today] * 9) is None


def test_few_launches_are_told_by_the_noise_of_all_and_many_by_their_own() -> None:
    name, loud = "llm_latency_p95_ms", [configuration(n, [1000.0, 3000.0]) for n in range(2, 9)]
    few = configuration(0, [1000.0, 1001.0]), configuration(1, [500.0, 501.0])
    many = configuration(0, [1000.0, 1001.0] * 2), configuration(1, [500.0, 501.0] * 2)
    assert (noise_of(name, *few, [*few, *loud]) or 0.0) > 300.0
    assert (noise_of(name, *many, [*many, *loud]) or 0.0) < 2.0
    assert (noise_of(name, *few, few) or 0.0) < 10.0, "nothing else was launched again"


def test_figures_that_agree_to_the_digit_tell_no_noise() -> None:
    today, other = configuration(0, [1000.0, 1000.0]), configuration(1, [500.0, 500.0])
    configurations = [today, other, *(configuration(n, [700.0, 700.0]) for n in range(2, 9))]
    assert noise_of("llm_latency_p95_ms", today, other, configurations) is None


def test_what_broke_a_limit_tells_no_noise() -> None:
    today, other = configuration(0, [1000.0, 1010.0]), configuration(1, [500.0])
    over = [
        replace(c, measured=tuple(replace(r, constraints={"free": 1.0}) for r in c.measured))
        for c in LOUD
    ]
    assert noise_of(FITNESS.flat, today, other, [today, other, *over]) is None
    assert noise_of(FITNESS.flat, today, other, [today, other, *LOUD]) is not None


@pytest.mark.parametrize(
    ("old", "new", "is_known"),
    [
        ((8, False), (10, False), True),
        ((8, True), (10, False), False),
        ((8, False), (10, True), True),
        ((8, True), (10, True), False),
        ((10, True), (8, False), True),
        ((10, False), (8, True), False),
        ((8, True), (8, True), False),
    ],
)
def test_a_lower_bound_says_which_has_more_only_where_the_other_is_less(
    old: tuple[int, bool], new: tuple[int, bool], is_known: bool
) -> None:
    today, other = (sessions(n, *x) for n, x in enumerate((old, new)))
    assert is_capacity_order_known(today, other) is is_known
    rows = comparison(figure_differences(today, other, [today, other], APIS))
    (row,) = [x for x in rows if x.title.startswith("capacity")]
    assert (row.change == "not known: ≥ is a lower bound") is not is_known


def test_memory_that_stays_free_is_neither_better_nor_worse() -> None:
    today, other = configuration(0, [9000.0, 9001.0]), configuration(1, [4000.0, 4001.0])
    rows = {
        row.title: row for row in comparison(figure_differences(today, other, [today, other], APIS))
    }
    memory, latency = rows["memory that stayed free"], rows["LLM: 95 % answered within"]
    assert (memory.change, memory.sense) == ("5,000 ± 3 MiB less (56 %)", "")
    assert latency.sense == "better", "of the same numbers"
