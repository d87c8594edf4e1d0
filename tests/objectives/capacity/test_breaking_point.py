"""The breaking point is where a falling fit of good turns leaves 95 %."""

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from objectives.capacity.breaking_point import BreakingPoint, breaking_point
from objectives.capacity.ramp_rate import RampRate


def point(rates, good):
    """Return the breaking point of numbers, whatever holds them."""
    return breaking_point([float(r) for r in rates], [bool(g) for g in good])


def test_it_lies_between_the_last_rate_that_passes_and_the_first_that_fails():
    assert point([1, 2, 3, 4], [1, 1, 0, 0]) == BreakingPoint(2.0, 3.0, 2)


def test_nothing_good_everything_good_and_nothing_at_all():
    assert point([1, 2, 3], [0, 0, 0]) == BreakingPoint(None, 1.0, 0)
    assert point([1, 2, 3], [1, 1, 1]) == BreakingPoint(3.0, None, 3)
    assert point([], []) == BreakingPoint(None, None, 0)


def test_nineteen_of_twenty_pass_and_fewer_do_not():
    assert point(range(20), [0] + [1] * 19).last_pass_per_s == 19.0
    assert point(range(19), [0] + [1] * 18).last_pass_per_s is None


def test_one_bad_turn_in_a_good_crowd_breaks_nothing():
    good = [True] * 100 + [False] + [True] * 99 + [False] * 50
    assert point(range(250), good) == BreakingPoint(199.0, 200.0, 200)


def test_equal_rates_are_one_point_whatever_their_order():
    rates = [1.0] * 40 + [2.0] * 4
    good = [True] * 40 + [True, True, False, True]
    assert point(rates, good) == point(rates[::-1], good[::-1])
    assert point(rates, good).last_pass_per_s == 1.0


def test_the_order_of_turns_is_that_of_their_rates():
    rng = np.random.default_rng(1)
    rates = np.linspace(1, 8, 300)
    good = rng.uniform(size=300) < np.interp(rates, [1, 5, 6, 8], [1, 0.98, 0.3, 0])
    order = rng.permutation(300)
    assert point(rates[order], good[order]) == point(rates, good)
    fit = isotonic_regression(good.astype(float), increasing=False).x
    assert point(rates, good).last_pass_per_s == rates[fit >= 0.95].max()


@pytest.mark.parametrize(
    "rate",
    [
        RampRate(1, 8, 90),
        RampRate(0, 5, 60),
        RampRate(2, 2, 30),
        RampRate(1, 8, 90, "geometric"),
        RampRate(3, 3, 30, "geometric"),
        RampRate.doubling(0.5, 25, 120),
    ],
)
def test_the_rate_is_the_growth_of_the_turns_that_have_arrived(rate):
    assert rate.at(0) == rate.first_per_s
    assert rate.at(rate.ramp_s) == pytest.approx(rate.last_per_s)
    assert (rate.at(-5), rate.at(1e6)) == pytest.approx((rate.first_per_s, rate.last_per_s))
    assert rate.time_of(rate.turns) == pytest.approx(rate.ramp_s)
    for turns in np.linspace(0.2, 0.8, 4) * rate.turns:
        middle_s, step_s = rate.time_of(turns), 1e-3
        later_s = rate.time_of(turns + rate.at(middle_s) * step_s)
        assert later_s - middle_s == pytest.approx(step_s, rel=1e-2)


def test_a_doubling_rate_doubles_at_any_time():
    rate = RampRate.doubling(0.75, every_s=25.0, ramp_s=110.0)
    for time_s in (0.0, 13.0, 60.0, 85.0):
        assert rate.at(time_s + 25.0) == pytest.approx(2 * rate.at(time_s))
