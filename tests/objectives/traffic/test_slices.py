"""A slice is thinned, moved and made to fit by its seed, and says what that cost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from objectives.traffic.slices import sliced
from objectives.traffic.trace_slice import Arrival, TooLong, TraceOptions, TraceSlice

ASKED = TraceOptions(file="t.csv", format="azure", from_s=100.0, for_s=60.0)
ARRIVALS = [
    Arrival(100.0 + n, 100 + 10 * n, 20, (0, n), line=n + 1) for n in range(60)
]  # prompts of 100 to 690 tokens


def of(options: TraceOptions, seed: int = 1, arrivals: list[Arrival] = ARRIVALS) -> TraceSlice:
    return sliced(arrivals, options, seed, failed=0, sha256="x", block_tokens=16)


def test_a_slice_has_the_times_of_the_trace_from_its_start() -> None:
    whole = of(ASKED)
    assert [a.at_s for a in whole.arrivals] == list(range(60))
    assert all(a.is_spoken for a in whole.arrivals)
    assert (whole.facts.in_file, whole.facts.too_long, whole.facts.tokens_lost) == (60, 0, 0)
    assert whole.facts.longest == (690, 20)


def test_speed_divides_times() -> None:
    assert [a.at_s for a in of(replace(ASKED, speed=4.0)).arrivals][:3] == [0, 0.25, 0.5]


def test_thinning_keeps_the_asked_share_by_the_seed_and_in_order() -> None:
    kept, again, other = (of(replace(ASKED, thin=0.25), seed).arrivals for seed in (1, 1, 2))
    assert len(kept) == len(other) == 15
    assert [a.line for a in kept] == [a.line for a in again] != [a.line for a in other]
    assert [a.at_s for a in kept] == sorted(a.at_s for a in kept)


def test_thinning_leaves_a_request() -> None:
    assert len(of(replace(ASKED, thin=1e-6)).arrivals) == 1


@pytest.mark.parametrize(
    ("too_long", "longest", "count", "lost"),
    [
        ("drop", 400, 29, sum(a.tokens for a in ARRIVALS[29:])),
        ("clip", 400, 60, sum(a.tokens - 400 for a in ARRIVALS[29:])),
        ("clip", 10_000, 60, 0),
        ("clip", None, 60, 0),
    ],
)
def test_what_is_too_long_is_dropped_or_clipped_and_counted(
    too_long: TooLong, longest: int | None, count: int, lost: int
) -> None:
    done = of(replace(ASKED, too_long=too_long, longest=longest))
    assert len(done.arrivals) == count
    assert done.facts.too_long == (31 if lost else 0)
    assert (done.facts.tokens_lost, done.facts.tokens) == (lost, sum(a.tokens for a in ARRIVALS))
    assert longest is None or max(a.tokens for a in done.arrivals) <= longest


def test_a_clipped_request_keeps_its_answer_and_the_begin_of_its_prompt() -> None:
    clipped = of(replace(ASKED, longest=400)).arrivals[-1]
    assert (clipped.prompt_tokens, clipped.output_tokens) == (380, 20)
    assert clipped.hash_ids == (0, 59)
    of_answers = [Arrival(100.0, 5, 900)]
    [answer] = of(replace(ASKED, longest=400), arrivals=of_answers).arrivals
    assert (answer.prompt_tokens, answer.output_tokens) == (1, 399)


def test_jitter_moves_each_request_within_it_and_takes_in_those_before() -> None:
    grid = [Arrival(97.0 + 3 * (n // 10), 10, 5, line=n + 1) for n in range(210)]
    moved, again, other = (
        [a.at_s for a in of(replace(ASKED, jitter_s=3.0), seed, grid).arrivals]
        for seed in (1, 1, 2)
    )
    assert moved == again != other
    assert len(set(moved)) == len(moved)
    assert 190 < len(moved) <= 210
    assert moved == sorted(moved)
    assert 0 <= moved[0] < 1
    assert moved[-1] < 60


@pytest.mark.parametrize(("step_s", "grid_s"), [(3.0, 3.0), (1.0, 1.0), (0.2, None)])
def test_a_grid_is_told(step_s: float, grid_s: float | None) -> None:
    stamps = [Arrival(100.001 + step_s * (n // 2), 10, 5, line=n + 1) for n in range(40)]
    off = [Arrival(100.77 + 1.7 * n, 10, 5, line=n + 100) for n in range(9)]
    facts = of(ASKED, 1, [*stamps, *off]).facts
    assert facts.grid_s == grid_s
    assert facts.grid_pct is None or 75 < facts.grid_pct < 90


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (replace(ASKED, from_s=500.0), "it holds no LLM request"),
        (replace(ASKED, too_long="drop", longest=50), "longer than the 50 tokens"),
    ],
)
def test_a_slice_without_requests_is_refused(options: TraceOptions, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of(options)
