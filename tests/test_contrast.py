"""Up to which difference noise could explain it, where one of the two was launched once."""

from __future__ import annotations

import numpy as np
import pytest

from objectives.allocation import Allocation
from objectives.measurement import INFINITE, Measurement
from study.cells import Cell
from study.contrast import FITNESS, contrast, noise_of
from study.history import Row


def cell(number: int, latencies: list[float], fitness: float = 0.6) -> Cell:
    """A configuration with one launch for each latency."""
    allocation = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base", "vllm.max_num_seqs": number})
    rows = [
        Row(n, allocation, "complete", fitness + n / 100, Measurement(llm_latency_p95_ms=ms, free_memory_mib=ms),
            None, {}, {}, {}, "pass", None, None, False, 90.0, n, None)
        for n, ms in enumerate(latencies)
    ]  # fmt: skip
    return Cell(allocation, tuple(rows), ())


@pytest.mark.parametrize(("name", "relative"), [("llm_latency_p95_ms", True), ("free_memory_mib", False)])
def test_the_interval_by_what_was_launched_again_holds_the_truth_95_times_in_100(name: str, relative: bool) -> None:
    rng, held, runs = np.random.default_rng(29), 0, 1000
    for _ in range(runs):
        means = [6000.0, 9000.0, 3000.0, 5000.0, 7000.0, 9000.0, 12_000.0]
        found = [
            cell(n, [mean + rng.normal() * (0.05 * mean if relative else 300.0) for _ in range(1 if n == 1 else 2)])
            for n, mean in enumerate(means)
        ]
        half = noise_of(name, found[0], found[1], found)
        assert half is not None
        gap = (found[1].figure(name) or 0.0) - (found[0].figure(name) or 0.0)
        held += abs(gap - 3000.0) <= half
    assert 0.93 * runs <= held <= 0.975 * runs


def test_noise_stays_unknown_where_too_little_was_launched_again() -> None:
    today, other = cell(0, [900.0, 1000.0]), cell(1, [500.0])
    (latency,) = [x for x in contrast(today, other, [today, other]) if x.title.startswith("LLM: 95 % answered")]
    assert latency.change.endswith("better, noise unknown")
    again = [cell(n, [900.0, 1000.0]) for n in range(2, 5)]
    (latency,) = [x for x in contrast(today, other, [today, other, *again]) if x.title.startswith("LLM: 95 % answered")]
    assert latency.change.endswith("(-47 %), better")
    assert noise_of(FITNESS, today, other, [today, other]) is None
    assert noise_of(FITNESS, today, other, [today, other, *again]) == pytest.approx(
        2.776 * 0.00707 * 1.5**0.5, rel=1e-3
    )


def test_a_latency_without_an_end_tells_no_noise() -> None:
    today, other = cell(0, [1000.0, 1010.0]), cell(1, [500.0])
    endless = [cell(n, [1000.0, INFINITE]) for n in range(2, 9)]
    assert noise_of("llm_latency_p95_ms", today, other, [today, other, *endless]) is None
    assert noise_of("llm_latency_p95_ms", today, cell(1, [INFINITE]), [today] * 9) is None


def test_two_that_were_both_launched_again_are_told_by_their_own_noise() -> None:
    today, other = cell(0, [1000.0, 1000.0]), cell(1, [500.0, 500.0])
    loud = [cell(n, [1000.0, 9000.0]) for n in range(2, 9)]
    assert noise_of("llm_latency_p95_ms", today, other, [today, other, *loud]) == 0.0
