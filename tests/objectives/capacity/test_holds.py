"""The next hold lies between what was held and what was not, and there are three at most."""

import pytest

from objectives.capacity.holds import MOST, Hold, is_lost, next_rate, proven_hold


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
    found = proven_hold(holds)
    assert (None if found is None else found.rate_per_s) == proven


def test_no_rate_is_proven_before_the_first_hold_or_where_no_turn_came():
    assert proven_hold([]) is None
    nothing_came = Hold(0.01, 1.0, 0, 0)
    assert (nothing_came.is_held, nothing_came.good_pct) == (False, None)


@pytest.mark.parametrize(
    ("turns", "bad", "lost"), [(20, 1, False), (20, 2, True), (19, 1, True), (200, 10, False)]
)
def test_a_hold_is_lost_with_more_than_a_twentieth_of_its_turns(turns, bad, lost):
    assert is_lost(turns, bad) is lost
