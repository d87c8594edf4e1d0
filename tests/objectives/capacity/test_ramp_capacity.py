"""The capacity of ramps: those of a real GPU, and those against queues whose capacity is known."""

import math
from statistics import median, pstdev

import pytest
from made import ramps
from made.ramps import line, replies

from objectives.capacity.limits import DEFAULT_LIMITS, FAILED, Limit
from objectives.capacity.ramp_capacity import (
    ENOUGH_TURNS,
    ramp_capacity,
    seed_spread_pct,
    shows_all,
    together,
)
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import HUNG_UP, RampReply
from objectives.capacity.turns import Turn, turns_of

LIMITS = [Limit.of(name, ms) for name, ms in DEFAULT_LIMITS.items()]
LINEAR = RampRate(1, 12, 120)
DOUBLING = RampRate.doubling(1.25, every_s=25.0, ramp_s=110.0)


def turns_in(lines, services=("stt", "llm")):
    got = [RampReply(line=n, **fields) for n, fields in enumerate(lines)]
    return turns_of(got, services, LIMITS)


def shown(capacity_per_s, rate=DOUBLING, seed=1):
    """Return what a ramp shows of a queue that completes so many turns a second."""
    return ramp_capacity(turns_in(replies(capacity_per_s, rate, seed)), rate)


def made_up(rate, is_good, time_s=1.0):
    """Return turns one tenth of a second apart."""
    times_s = [n / 10 for n in range(int(rate.ramp_s * 10))]
    return [Turn(t, t + time_s, () if is_good(rate.at(t)) else ("ttft_ms",)) for t in times_s]


@pytest.mark.parametrize("rate", [LINEAR, DOUBLING], ids=["linear", "doubling"])
@pytest.mark.parametrize("seed", range(1, 7))
@pytest.mark.parametrize("truth_per_s", [4.0, 5.0, 6.0, 8.0])
def test_the_capacity_of_a_queue_is_found(truth_per_s, rate, seed):
    """A gust of arrivals may break a ramp early; none shows more than the queue completes."""
    capacity = shown(truth_per_s, rate, seed)
    assert 0.89 * truth_per_s < capacity.capacity_turns_per_s < 1.07 * truth_per_s
    assert capacity.completed_per_s == pytest.approx(truth_per_s, rel=0.1)
    assert capacity.bound_by == "llm_ttft_p95_ms"
    assert capacity.turns_per_s == capacity.last_pass_per_s < capacity.first_fail_per_s


@pytest.mark.parametrize("rate", [LINEAR, DOUBLING], ids=["linear", "doubling"])
def test_over_seeds_the_capacity_is_right_on_average_and_the_breaking_point_is_above_it(rate):
    for truth_per_s in (4.0, 6.0, 8.0):
        capacity = together([shown(truth_per_s, rate, seed) for seed in range(1, 9)])
        assert capacity.capacity_turns_per_s == pytest.approx(truth_per_s, rel=0.07)
        assert capacity.turns_per_s > truth_per_s


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_better_queue_never_shows_less(seed):
    capacities = [shown(c, seed=seed) for c in (2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0)]
    for figure in ("turns_per_s", "completed_per_s", "capacity_turns_per_s"):
        values = [getattr(f, figure) for f in capacities]
        assert values == sorted(values), figure


@pytest.mark.parametrize(("truth_per_s", "slots"), [(1.0, 3), (2.0, 6), (3.0, 8)])
def test_the_capacity_of_few_turns_moves_with_the_seed(monkeypatch, truth_per_s, slots):
    """By about as much as is told; the LLM's requests take 3 s, of 6.3 s that are allowed."""
    monkeypatch.setattr(ramps, "SLOTS", slots)
    own = RampRange.around(truth_per_s, doubling_s=25.0, ramp_s=120.0)
    rate = RampRate.doubling(own.first_per_s, own.doubling_s, ramp_s=3.6 * own.doubling_s)
    capacities = [shown(truth_per_s, rate, seed) for seed in range(1, 41)]
    below = median(f.turns_below for f in capacities)
    assert below < ENOUGH_TURNS
    spread = pstdev(math.log(f.capacity_turns_per_s) for f in capacities)
    assert 100 * spread == pytest.approx(seed_spread_pct(below), rel=0.25)


def test_the_sessions_are_littles_law():
    capacity = shown(5.0)
    assert 1.5 < capacity.turn_s < 4.0
    assert capacity.concurrent_capacity(0.0) == math.floor(
        capacity.capacity_turns_per_s * capacity.turn_s
    )
    assert capacity.concurrent_capacity(10.0) == math.floor(
        capacity.capacity_turns_per_s * (capacity.turn_s + 10.0)
    )
    quick = ramp_capacity(made_up(LINEAR, lambda r: r < 6, time_s=0.5), LINEAR)
    assert quick.turn_s == pytest.approx(0.5)


def test_a_ramp_that_never_breaks_is_bound_by_the_generator():
    capacity = ramp_capacity(made_up(LINEAR, lambda r: True), LINEAR)
    assert capacity.turns_per_s == capacity.last_pass_per_s == pytest.approx(12, rel=0.01)
    assert (capacity.first_fail_per_s, capacity.completed_per_s) == (None, None)
    assert (capacity.bound_by, capacity.turns_below) == ("generator", capacity.turns)
    assert capacity.capacity_turns_per_s == capacity.turns_per_s


def test_a_ramp_of_which_nothing_is_good_has_no_capacity_and_says_what_broke():
    capacity = ramp_capacity(made_up(LINEAR, lambda r: False), LINEAR)
    assert capacity.turns_per_s is capacity.capacity_turns_per_s is capacity.last_pass_per_s is None
    assert (capacity.first_fail_per_s, capacity.bound_by) == (1.0, "ttft_ms")
    assert capacity.concurrent_capacity(1.0) is None and capacity.turn_s is None


def test_what_is_drained_after_the_last_arrival_does_not_count():
    """Twice as many are completed a second once nothing arrives any more."""
    ramp = RampRate(1, 10, 60)
    turns = [Turn(n / 5, n / 5 + 1, ()) for n in range(100)]
    late = [Turn(20 + n / 5, 60 + n / 10, ("ttft_ms",)) for n in range(200)]
    late = [
        Turn(t.scheduled_s, 21 + n / 4 if n < 156 else t.end_s, t.missed)
        for n, t in enumerate(late)
    ]
    assert ramp_capacity(turns + late, ramp).completed_per_s == pytest.approx(4.0, abs=0.1)


def test_the_completions_of_a_ramp_that_breaks_at_its_end_are_those_of_its_last_20_s():
    capacity = shown(6.0, RampRate.doubling(0.5, every_s=30.0, ramp_s=112.0), seed=2)
    assert capacity.first_fail_per_s is not None
    assert 4.5 < capacity.completed_per_s < 6.6


def test_a_ramp_shorter_than_20_s_has_no_completion_rate():
    ramp = RampRate(1, 10, 8)
    assert ramp_capacity(made_up(ramp, lambda r: r < 5), ramp).completed_per_s is None


def test_failed_requests_can_be_what_breaks():
    lines = replies(50.0, LINEAR)
    for fields in lines:
        if fields["service"] == "llm" and fields["scheduled_s"] > 60:
            fields |= {"error": "500", "first_s": None, "end_s": None, "tokens": None}
    capacity = ramp_capacity(turns_in(lines), LINEAR)
    assert capacity.bound_by == FAILED
    assert capacity.turns_per_s == pytest.approx(LINEAR.at(60), rel=0.05)
    assert capacity.completed_per_s < 0.1  # what was under way


def test_one_failure_at_the_break_is_not_what_broke():
    lines = replies(5.0, DOUBLING)
    turns = turns_in(lines)
    edge = ramp_capacity(turns, DOUBLING).turns_below
    failed = [*turns[:edge], Turn(turns[edge].scheduled_s, None, (FAILED,)), *turns[edge + 1 :]]
    assert ramp_capacity(failed, DOUBLING).bound_by == "llm_ttft_p95_ms"


def broken_at_6(seen, hung_up=100):
    """Return turns of which so many beyond 6 a second were late, and nobody waited for the rest."""
    turns = made_up(LINEAR, lambda r: r < 6)
    edge = ramp_capacity(turns, LINEAR).turns_below
    open_turns = turns[edge + seen : edge + seen + hung_up]
    return [*turns[: edge + seen], *(Turn(t.scheduled_s, None, (), True) for t in open_turns)]


@pytest.mark.parametrize(
    ("seen", "hung_up", "is_shown"),
    [
        (230, 100, True),
        (230, 0, True),
        (185, 40, False),  # the 20 s after the break are not over
        (3, 300, False),  # good ones would mend it
    ],
)
def test_what_nobody_waited_for_is_bad_and_where_it_counts_the_capacity_is_at_least_that(
    seen, hung_up, is_shown
):
    turns = broken_at_6(seen, hung_up)
    capacity = ramp_capacity(turns, LINEAR)
    assert shows_all(turns, LINEAR) is is_shown
    assert capacity.turns_per_s == pytest.approx(6.0, abs=0.02)
    assert capacity.bound_by == ("ttft_ms" if is_shown else "generator")
    whole = ramp_capacity(made_up(LINEAR, lambda r: r < 6), LINEAR)
    assert (capacity.completed_per_s == whole.completed_per_s) is is_shown
    assert capacity.completed_per_s <= whole.completed_per_s


def test_a_turn_up_to_the_break_must_have_ended_and_so_must_those_that_say_what_broke():
    turns = broken_at_6(230)
    edge = ramp_capacity(turns, LINEAR).turns_below

    def hung_up_at(first, last):
        middle = [Turn(t.scheduled_s, None, (), True) for t in turns[first:last]]
        return [*turns[:first], *middle, *turns[last:]]

    assert not shows_all(hung_up_at(edge - 3, edge - 2), LINEAR)
    assert not shows_all(hung_up_at(edge, edge + 1), LINEAR), "a good one would be no break"
    assert shows_all(hung_up_at(edge + 1, edge + 15), LINEAR), "25 of 40 have missed one limit"
    assert not shows_all(hung_up_at(edge + 1, edge + 25), LINEAR), "the others might another one"


def test_a_turn_of_which_an_answer_was_late_is_bad_though_nobody_waited_for_the_next():
    lines = [
        *(line("stt", 1.0, 3.0, 3.0, None), line("llm", 3.0, None, None, None, error=HUNG_UP)),
        *(line("stt", 2.0, 2.1, 2.1, None), line("llm", 2.1, None, None, None, error=HUNG_UP)),
        line("stt", 4.0, None, None, None, error=HUNG_UP),
    ]
    turns = turns_in([fields | {"turn": n // 2} for n, fields in enumerate(lines)])
    assert [t.missed for t in turns] == [("stt_latency_p95_ms",), (), ()]
    assert all(t.is_hung_up for t in turns)
    assert [(t.end_s, t.is_good, t.may_be_good) for t in turns] == [
        (None, False, False),
        (None, False, True),
        (None, False, True),
    ]


def test_a_burst_of_failures_is_what_broke_although_the_queue_breaks_later():
    lines = replies(8.0, LINEAR)
    for fields in lines:
        if 30 < fields["scheduled_s"] < 33:
            fields |= {"error": "500", "first_s": None, "end_s": None, "tokens": None}
    turns = turns_in(lines)
    capacity = ramp_capacity(turns, LINEAR)
    assert capacity.bound_by == FAILED
    assert capacity.turns_per_s == pytest.approx(LINEAR.at(30), rel=0.05)
    assert sum(t.missed == ("llm_ttft_p95_ms",) for t in turns) > 100


def test_a_hold_that_breaks_late_says_what_broke():
    hold = RampRate(4, 4, 90)
    turns = [Turn(n / 4, n / 4 + 1, ("ttft_ms",) if n > 200 else ()) for n in range(360)]
    capacity = ramp_capacity(turns, hold)
    assert (capacity.turns_per_s, capacity.first_fail_per_s, capacity.bound_by) == (
        None,
        4.0,
        "ttft_ms",
    )


def test_ramps_together_are_their_geometric_mean_in_the_widest_bracket():
    one, other = shown(4.0), shown(8.0)
    both = together([one, other])
    assert both.turns_per_s == pytest.approx(math.sqrt(one.turns_per_s * other.turns_per_s))
    assert both.last_pass_per_s == one.last_pass_per_s < both.turns_per_s
    assert both.first_fail_per_s == other.first_fail_per_s > both.turns_per_s
    assert both.turns == one.turns + other.turns
    assert both.turns_below == min(one.turns_below, other.turns_below)
    assert together([one]).turns_per_s == pytest.approx(one.turns_per_s)


def test_what_one_ramp_does_not_know_is_not_known():
    nothing = ramp_capacity(made_up(LINEAR, lambda r: False), LINEAR)
    both = together([shown(4.0), nothing])
    assert both.turns_per_s is both.capacity_turns_per_s is both.last_pass_per_s is None
    assert both.bound_by == "ttft_ms"


def test_the_kth_clip_and_the_kth_llm_request_are_a_turn():
    lines = [
        line("llm", 3.4, 3.6, 4.0, 64),
        line("stt", 1.0, 1.1, 1.1, None),
        line("stt", 3.0, 5.0, 5.0, None),
        line("llm", 1.4, 1.6, 2.0, 64),
    ]
    assert turns_in(lines) == (Turn(1.0, 2.0), Turn(3.0, 5.0, ("stt_latency_p95_ms",)))


def test_a_turn_number_says_more_than_the_order():
    lines = [
        line("stt", 1.0, 1.1, 1.1, None, turn=7),
        line("stt", 2.0, 2.1, 2.1, None, turn=8),
        line("llm", 2.4, 2.6, 3.0, 64, turn=7),
        line("llm", 2.2, 9.6, 9.9, 64, turn=8),
    ]
    assert turns_in(lines) == (Turn(1.0, 3.0), Turn(2.0, 9.9, ("llm_ttft_p95_ms",)))


def test_a_turn_without_its_partner_has_failed():
    lines = [line("stt", 1.0, 1.1, 1.1, None), line("stt", 2.0, 2.1, 2.1, None)]
    lines.append(line("llm", 1.4, 1.6, 2.0, 64))
    assert turns_in(lines) == (Turn(1.0, 2.0), Turn(2.0, None, (FAILED,)))
    assert turns_in(lines[:2], ("stt",)) == (Turn(1.0, 1.1), Turn(2.0, 2.1))
