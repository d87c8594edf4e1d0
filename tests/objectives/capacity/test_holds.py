"""The next hold lies between what was held and what was not, and there are three at most."""

import math
from statistics import fmean

import pytest
from made import ramps

from objectives.capacity.holds import MOST, Hold, is_lost, next_rate, proven_hold
from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.capacity.ramp_capacity import ramp_capacity
from objectives.capacity.ramp_figures import limits_of
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import RampReply
from objectives.capacity.turns import turns_of


def holds_against(true_per_s, capacity_per_s):
    """Hold rates of servers that follow up to `true_per_s`, until there is no next one."""
    holds = []
    while (per_s := next_rate(capacity_per_s, holds)) is not None:
        holds.append(Hold(per_s, 90.0, 100, 100 if per_s <= true_per_s else 80))
    return holds


@pytest.mark.parametrize(
    ("true_per_s", "rates", "proven"),
    [
        (20.0, [8.0, 9.0, 9.5], 9.5),
        (9.2, [8.0, 9.0, 9.5], 9.0),
        (8.6, [8.0, 9.0, 8.5], 8.5),
        (8.1, [8.0, 9.0, 8.5], 8.0),
        (7.5, [8.0, 6.0, 7.0], 7.0),
        (6.5, [8.0, 6.0, 7.0], 6.0),
        (5.0, [8.0, 6.0, 4.5], 4.5),
        (1.0, [8.0, 6.0, 4.5], None),
    ],
)
def test_three_holds_find_the_highest_rate_that_is_held(true_per_s, rates, proven):
    holds = holds_against(true_per_s, 10.0)
    assert [h.rate_per_s for h in holds] == pytest.approx(rates)
    assert len(holds) == MOST
    hold = proven_hold(holds)
    assert (None if hold is None else hold.rate_per_s) == proven


def test_no_rate_is_proven_before_the_first_hold_or_where_no_turn_came():
    assert proven_hold([]) is None
    nothing_came = Hold(0.01, 1.0, 0, 0)
    assert (nothing_came.is_held, nothing_came.good_pct) == (False, None)


@pytest.mark.parametrize(
    ("turns", "bad", "lost"), [(20, 1, False), (20, 2, True), (19, 1, True), (200, 10, False)]
)
def test_a_hold_is_lost_with_more_than_a_twentieth_of_its_turns(turns, bad, lost):
    assert is_lost(turns, bad) is lost


def turns_against(truth_per_s, rate, seed):
    replies = [RampReply(line=0, **x) for x in ramps.replies(truth_per_s, rate, seed)]
    return turns_of(replies, ("stt", "llm"), limits_of(DEFAULT_LIMITS))


def held_by(truth_per_s, baseline_per_s, number):
    """Return the rate that servers hold, from what six ramps told of them, turns/s."""
    own = RampRange.around(baseline_per_s, doubling_s=25.0, ramp_s=120.0)
    rate = RampRate.doubling(own.first_per_s, own.doubling_s, ramp_s=3.6 * own.doubling_s)
    pairs = (turns_against(truth_per_s, rate, 1000 * number + pair) for pair in range(6))
    logs = [math.log(ramp_capacity(turns, rate).capacity_turns_per_s or 0.0) for turns in pairs]
    holds = []
    while (per_s := next_rate(math.exp(fmean(logs)), holds)) is not None:
        seed = 7_000_000 + 10 * number + len(holds)  # the same for both allocations
        turns = turns_against(truth_per_s, RampRate(per_s, per_s, 90.0), seed)
        holds.append(Hold(per_s, 90.0, len(turns), sum(t.is_good for t in turns)))
    proven = proven_hold(holds)
    return proven.rate_per_s if proven else 0.0


def test_a_fifth_more_capacity_is_held():
    more = [held_by(3.6, 3.0, n) > held_by(3.0, 3.0, n) for n in range(20)]
    assert fmean(more) >= 0.9
