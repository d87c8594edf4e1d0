"""All ramps of a study begin alike and grow alike, around the capacity of the baseline."""

import pytest

from objectives.capacity.ramp_capacity import ENOUGH_TURNS
from objectives.capacity.ramp_range import RampRange
from objectives.load.ramp import turn_times


@pytest.mark.parametrize("capacity_per_s", [0.2, 1.0, 3.0, 4.0, 6.0, 20.0])
def test_as_many_turns_lie_below_the_capacity_as_the_time_allows(capacity_per_s):
    here = RampRange.around(capacity_per_s, doubling_s=25.0, ramp_s=120.0)
    rate = here.rate
    assert rate.at(0.0) == here.first_per_s == pytest.approx(capacity_per_s / 4, abs=1e-4)
    assert rate.at(3 * here.doubling_s) == pytest.approx(2 * capacity_per_s, rel=1e-3)
    assert 25.0 <= here.doubling_s <= 40.0
    below = capacity_per_s * 0.75 * here.doubling_s / 0.6931
    assert below >= ENOUGH_TURNS - 1 or here.doubling_s == 40.0
    assert RampRange.from_json(here.to_json()) == here


@pytest.mark.parametrize("capacity_per_s", [1e-4, 1e-9])
def test_a_ramp_never_begins_at_nothing(capacity_per_s):
    for here in (
        RampRange.around(capacity_per_s, doubling_s=25.0, ramp_s=120.0),
        RampRange.below(capacity_per_s, doubling_s=25.0),
    ):
        assert here.first_per_s == 0.001
        assert 5 <= len(turn_times(here.rate, seed=1)) < 50


def test_a_doubling_that_takes_longer_than_the_time_is_kept():
    assert RampRange.around(1.0, doubling_s=60.0, ramp_s=120.0).doubling_s == 60.0
