"""Late requests of our own are told where they moved a capacity, and only there."""

import math
from dataclasses import replace

import pytest
from made import ramps

from objectives.capacity.lateness import is_hold_late, is_ramp_late
from objectives.capacity.limits import Limit
from objectives.capacity.ramp_capacity import ramp_capacity
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import HUNG_UP, RampReply
from objectives.capacity.turns import turns_of
from objectives.load.ramp import turn_times

SERVICES = ("stt", "llm")
LIMITS = [Limit.of("stt_ms", 1000.0), Limit.of("ttft_ms", 2000.0), Limit.of("tpot_ms", 100.0)]
RATE = RampRate.doubling(0.5, every_s=25.0, ramp_s=120.0)
HOLD = RampRate(2.0, 2.0, 90.0)


def ramp(lateness_s, rate=RATE, capacity_per_s=5.0):
    """Return the replies of a ramp whose requests leave late, by when they are due."""
    replies = []
    for n, fields in enumerate(ramps.replies(capacity_per_s, rate)):
        late_s = lateness_s(fields["scheduled_s"])
        times = {
            name: None if fields[name] is None else fields[name] + late_s
            for name in ("first_s", "end_s")
        }
        sent_s = fields["scheduled_s"] + late_s
        replies.append(RampReply(**{**fields, **times}, line=n, sent_s=sent_s, turn=n // 2))
    return replies


def point(replies):
    return ramp_capacity(turns_of(replies, SERVICES, LIMITS), RATE).turns_per_s


@pytest.mark.parametrize(
    ("lateness_s", "is_late"),
    [
        (lambda _: 0.0, False),
        (lambda _: 0.02, False),  # hardly a turn misses a limit by it
        (lambda at_s: 3.0 if at_s > 118 else 0.0, False),  # long after it broke
        (lambda at_s: 3.0 if 40 < at_s < 50 else 0.0, True),
        (lambda at_s: 3.0 if at_s > 45 else 0.0, True),
        (lambda _: 3.0, True),  # no rate is good by it
    ],
)
def test_a_ramp_is_late_where_its_breaking_point_was_moved(lateness_s, is_late):
    replies = ramp(lateness_s)
    assert is_ramp_late(replies, SERVICES, RATE, LIMITS) is is_late
    moved = point(ramp(lambda _: 0.0)) / (point(replies) or math.inf)
    assert (moved > 1.1 or not moved) is is_late


@pytest.mark.parametrize("is_ours", [True, False])
def test_it_is_late_likewise_where_nobody_waited_for_the_last_answers(is_ours):
    """From 2.5 turns a second on prompts leave 3 s late, or the server takes as much longer."""
    rate = RampRange(1.25, 40.0).rate
    replies = []
    for turn, at_s in enumerate(t for t in turn_times(rate, 1) if t < 62.5):
        due_s, lag_s = at_s + 0.1, 3.0 if at_s > 40 else 0.0
        sent_s = due_s + lag_s if is_ours else due_s
        times = {"sent_s": sent_s, "first_s": due_s + lag_s + 0.1, "end_s": due_s + lag_s + 15}
        clip = RampReply(line=0, service="stt", turn=turn, scheduled_s=at_s, end_s=due_s)
        prompt = replace(clip, service="llm", scheduled_s=due_s, tokens=301, **times)
        replies += [clip, prompt]
    open_now = {"sent_s": None, "first_s": None, "end_s": None, "tokens": None, "error": HUNG_UP}
    cut = [replace(r, **open_now) if r.end_s > 63.5 else r for r in replies]
    assert sum(r.error == HUNG_UP for r in cut) > 30
    for own in (replies, cut):
        assert is_ramp_late(own, SERVICES, rate, LIMITS) is is_ours


def test_a_slow_server_is_no_lateness_of_ours():
    for capacity_per_s in (0.01, 1.0, 3.0):
        assert not is_ramp_late(ramp(lambda _: 0.0, RATE, capacity_per_s), SERVICES, RATE, LIMITS)


def test_replies_of_files_that_do_not_say_when_they_left_are_not_late():
    replies = [RampReply(line=0, service=s, scheduled_s=0.0) for s in SERVICES]
    assert not is_ramp_late(replies, SERVICES, RATE, LIMITS)
    assert not is_hold_late(replies, SERVICES, LIMITS, 1)


@pytest.mark.parametrize(
    ("lateness_s", "capacity_per_s", "is_late"),
    [
        (lambda _: 0.0, 5.0, False),
        (lambda at_s: 3.0 if at_s > 80 else 0.0, 5.0, True),
        (lambda at_s: 3.0 if at_s > 88 else 0.0, 5.0, False),  # it is held nevertheless
        (lambda at_s: 3.0 if at_s > 80 else 0.0, 1.0, False),  # it is not held anyhow
    ],
)
def test_a_hold_is_late_where_it_was_lost_by_that_alone(lateness_s, capacity_per_s, is_late):
    replies = ramp(lateness_s, HOLD, capacity_per_s)
    assert is_hold_late(replies, SERVICES, LIMITS, len(replies) // 2) is is_late


def test_a_hold_that_ended_early_is_held_against_all_its_turns():
    """Of 180 turns 9 may be bad: 6 that left late and 4 slow ones of the first 40 end it."""
    whole = ramp(lambda _: 0.0, HOLD)[:80]
    bad = [replace(r, end_s=r.end_s + 9.0, sent_s=r.scheduled_s) for r in whole[:8:2]]
    late = [replace(r, end_s=r.end_s + 9.0, sent_s=r.scheduled_s + 9.0) for r in whole[8:20:2]]
    replies = [*bad, *whole[1:8:2], *late, *whole[9:20:2], *whole[20:]]
    assert is_hold_late(replies, SERVICES, LIMITS, 180)
    assert not is_hold_late([*bad, *bad, *replies], SERVICES, LIMITS, 60)
