"""A ramp's turns arrive at a rising rate, and it ends once nothing can move its breaking point."""

import numpy as np
import pytest
from made.ramps import replies

from objectives.capacity.breaking_point import breaking_point
from objectives.capacity.limits import DEFAULT_LIMITS, Limit
from objectives.capacity.ramp_capacity import COMPLETION_WINDOW_S, ramp_capacity, shows_all
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import RampReply
from objectives.capacity.turns import Turn, turns_of
from objectives.load.ramp import is_broken_beyond_doubt, turn_times

LIMITS = [Limit.of(name, ms) for name, ms in DEFAULT_LIMITS.items()]
RATE = RampRate.doubling(1.25, every_s=25.0, ramp_s=110.0)


def turns_in(capacity_per_s, seed):
    got = [RampReply(line=n, **r) for n, r in enumerate(replies(capacity_per_s, RATE, seed))]
    return turns_of(got, ("stt", "llm"), LIMITS)


def known_at(turns, now_s):
    """Return whether each turn was good, None where that is not known yet."""
    return [t.is_good if t.end_s is not None and t.end_s <= now_s else None for t in turns]


def stop_s(turns):
    """Return when the running ramp ends itself, seconds; None where it runs to its end."""
    times_s = [t.scheduled_s for t in turns]
    for now_s in np.arange(1.0, RATE.ramp_s, 2.0):
        if is_broken_beyond_doubt(RATE, times_s, known_at(turns, now_s), now_s):
            return now_s
    return None


@pytest.mark.parametrize(
    "rate", [RATE, RampRate(1, 8, 90), RampRate(4, 4, 90)], ids=["doubling", "linear", "hold"]
)
def test_the_arrivals_are_those_of_a_poisson_process_at_the_rate(rate):
    every = [turn_times(rate, seed) for seed in range(200)]
    assert all(t == tuple(sorted(t)) and t[0] >= 0 and t[-1] <= rate.ramp_s for t in every)
    counts = [len(t) for t in every]
    assert np.mean(counts) == pytest.approx(rate.turns, rel=0.02)
    assert np.var(counts) == pytest.approx(rate.turns, rel=0.3)
    middle_s = rate.time_of(rate.turns / 2)
    early = [sum(t < middle_s for t in times) for times in every]
    assert np.mean(early) == pytest.approx(rate.turns / 2, rel=0.03)


def test_a_seed_gives_the_same_gusts_at_any_rate():
    low, high = turn_times(RATE, 7), turn_times(RampRate.doubling(2.5, 25.0, 110.0), 7)
    assert low == turn_times(RATE, 7) != turn_times(RATE, 8)
    slow, fast = RATE, RampRate.doubling(2.5, 25.0, 110.0)
    for k in (0, 10, 60):
        assert slow.at(low[k]) - 1.25 == pytest.approx(fast.at(high[k]) - 2.5, rel=1e-4)


@pytest.mark.parametrize("capacity_per_s", [2.0, 3.0, 5.0, 8.0])
def test_a_ramp_that_ends_itself_shows_what_the_whole_ramp_shows(capacity_per_s):
    """Of 40 simulated ramps none ends at another breaking point than the whole one."""
    saved_s = []
    for seed in range(1, 11):
        turns = turns_in(capacity_per_s, seed)
        end_s = stop_s(turns)
        whole = ramp_capacity(turns, RATE)
        if end_s is None:
            continue
        cut = ramp_capacity([t for t in turns if t.scheduled_s <= end_s], RATE)
        assert cut.turns_per_s == whole.turns_per_s
        assert cut.first_fail_per_s == whole.first_fail_per_s
        assert cut.completed_per_s == pytest.approx(whole.completed_per_s, rel=0.15)
        assert cut.bound_by == whole.bound_by
        saved_s.append(RATE.ramp_s - end_s)
    assert capacity_per_s > 5 or (len(saved_s) == 10 and min(saved_s) > 10)


def hung_up(turns, now_s):
    """Return the turns that have left, with those hung up that are open."""
    return [
        t
        if t.end_s is not None and t.end_s <= now_s
        else Turn(t.scheduled_s, end_s=None, is_hung_up=True)
        for t in turns
    ]


@pytest.mark.parametrize("capacity_per_s", [2.0, 3.0, 5.0])
def test_answers_for_which_nobody_waited_would_have_shown_nothing_more(capacity_per_s):
    """Of 40 simulated ramps each shows the same to the last digit, and none is waited out."""
    for seed in range(1, 41):
        turns = turns_in(capacity_per_s, seed)
        now_s = end_s = stop_s(turns)
        sent = [t for t in turns if t.scheduled_s <= end_s]
        while not shows_all(hung_up(sent, now_s), RATE):
            now_s += 0.5
        assert ramp_capacity(hung_up(sent, now_s), RATE) == ramp_capacity(sent, RATE)
        assert max(t.end_s for t in sent if t.end_s is not None) > now_s + 5


def test_a_stall_that_passes_does_not_end_a_ramp():
    times_s = turn_times(RATE, 1)
    good = [not 20 < t < 24 for t in times_s]  # at 2.3 turns a second: 9 turns
    for now_s in range(20, 110, 3):
        known = [g if t < now_s - 1 else None for t, g in zip(times_s, good, strict=True)]
        assert not is_broken_beyond_doubt(RATE, times_s, known, now_s)


def test_a_ramp_does_not_end_before_20_s_of_completions():
    times_s = turn_times(RATE, 1)
    good = [t < 40 for t in times_s]
    point = breaking_point([RATE.at(t) for t in times_s], good)
    break_s = times_s[point.turns_below]
    early_s, due_s = break_s + COMPLETION_WINDOW_S - 0.1, break_s + COMPLETION_WINDOW_S
    assert not is_broken_beyond_doubt(RATE, times_s, good, early_s)
    assert is_broken_beyond_doubt(RATE, times_s, good, due_s)


def test_a_ramp_that_goes_well_does_not_end_itself():
    times_s = turn_times(RATE, 1)
    assert not is_broken_beyond_doubt(RATE, times_s, [True] * len(times_s), RATE.ramp_s)
    assert not is_broken_beyond_doubt(RATE, times_s, [None] * len(times_s), 0.0)


def test_a_ramp_of_which_nothing_is_good_ends_itself_early():
    times_s = turn_times(RATE, 1)
    known = [False if t < 60 else None for t in times_s]
    assert is_broken_beyond_doubt(RATE, times_s, known, 60.0)
