"""A ramp and a hold are measured once more where our own requests left late, and then kept."""

from dataclasses import replace
from itertools import count

import pytest
from made import ramps
from made.factories import endpoints_of

from objectives.capacity.holds import Hold
from objectives.capacity.limits import DEFAULT_LIMITS, Limit
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import RampReply
from objectives.errors import Disturbed
from objectives.evaluation import Step
from objectives.exercise import turns
from objectives.exercise.ready_servers import ReadyServers
from objectives.load.drive_turns import TurnSource
from objectives.load.generator import Generator
from objectives.load.turns_under_way import SentTurns
from objectives.servers.blame import Suspects
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Workload

pytestmark = pytest.mark.usefixtures("forked")
LIMITS = [Limit.of(*x) for x in DEFAULT_LIMITS.items()]
KNOWN = RampRange(0.5, 25.0)
HOLD = Hold(2.0, 90.0, 180, 100)


def sent(rate, late_s):
    """Return a ramp against a queue of 5 turns/s, whose requests after 45 s left late."""
    lines = ramps.replies(5.0, rate)
    ramp = SentTurns(rate, tuple(x["scheduled_s"] for x in lines if x["service"] == "stt"))
    for n, x in enumerate(lines):
        by_s = late_s if x["scheduled_s"] > 45 else 0.0
        times = {k: x[k] + by_s for k in ("first_s", "end_s") if x[k] is not None}
        left_s = x["scheduled_s"] + by_s
        ramp.replies.append(RampReply(**{**x, **times}, line=n, sent_s=left_s, turn=n // 2))
    return ramp


def driven(monkeypatch, late_s):
    """Let one ramp or hold after the other leave as late as this; return what tells the steps."""
    lateness = iter(late_s)
    monkeypatch.setattr(turns, "drive_ramp", lambda _, rate: sent(rate, next(lateness)))
    monkeypatch.setattr(
        turns, "drive_hold", lambda *_: (HOLD, sent(RampRate(2.0, 2.0, 90.0), next(lateness)))
    )
    endpoints = endpoints_of("http://127.0.0.1:1", "http://127.0.0.1:1", 2048)
    source = TurnSource(
        Generator(),
        endpoints,
        read_clips("assistant"),
        Workload(),
        LIMITS,
        lambda: None,
        lambda: True,
        count(),
    )
    steps = []
    servers = ReadyServers(
        source.generator, endpoints, Suspects({}, {}, {}), lambda phase: steps.append(phase.step)
    )
    return source, servers, steps


@pytest.mark.parametrize(
    ("late_s", "steps", "is_late"),
    [
        ([0.0], [Step.RAMP], False),
        ([3.0, 0.0], [Step.RAMP, Step.RAMP_LATE], False),
        ([3.0, 3.0], [Step.RAMP, Step.RAMP_LATE], True),
    ],
)
def test_a_late_ramp_is_measured_once_more(monkeypatch, late_s, steps, is_late):
    source, servers, seen = driven(monkeypatch, late_s)
    _, here, figures = turns.ramp(source, servers, KNOWN)
    assert (seen, here, figures["lag_exceeded"]) == (steps, KNOWN, is_late)
    assert (figures["capacity_turns_per_s"] < 3.5) is is_late


def test_the_first_ramp_of_a_study_may_be_late_too(monkeypatch):
    source, servers, seen = driven(monkeypatch, [3.0, 0.0, 3.0, 0.0])
    _, _, figures = turns.ramp(source, servers, None)
    assert seen == [Step.RAMP, Step.RAMP_LATE, Step.RAMP_AGAIN, Step.RAMP_LATE]
    assert figures["lag_exceeded"] is False


@pytest.mark.parametrize(
    ("late_s", "steps"),
    [
        ([0.0], [Step.HOLD]),
        ([3.0, 0.0], [Step.HOLD, Step.HOLD_LATE]),
        ([3.0, 3.0], [Step.HOLD, Step.HOLD_LATE]),
    ],
)
def test_a_hold_that_was_lost_by_our_own_lateness_is_made_once_more(monkeypatch, late_s, steps):
    source, servers, seen = driven(monkeypatch, late_s)
    _, _, is_late = turns.hold(source, servers, 2.0)
    assert (seen, is_late) == (steps, late_s == [3.0, 3.0])


@pytest.mark.parametrize("is_idle", [True, False])
def test_a_ramp_that_left_work_behind_is_settled_before_all_that_follows(monkeypatch, is_idle):
    source, servers, seen = driven(monkeypatch, [0.0])
    settled = []
    source = replace(source, settle=lambda: settled.append(1) or is_idle)
    broken = sent(KNOWN.rate, 0.0)
    broken.replies[-1] = replace(broken.replies[-1], error="TimeoutError", end_s=None)
    monkeypatch.setattr(turns, "drive_ramp", lambda *_: broken)
    if is_idle:
        turns.ramp(source, servers, KNOWN)
    else:
        with pytest.raises(Disturbed, match="overdue"):
            turns.ramp(source, servers, KNOWN)
    assert (settled, seen) == ([1], [Step.RAMP])


def test_a_late_hold_that_left_work_behind_is_settled_before_it_is_made_again(monkeypatch):
    source, servers, seen = driven(monkeypatch, [])
    settled = []
    source = replace(source, settle=lambda: not settled.append(len(seen)))
    late = sent(RampRate(2.0, 2.0, 90.0), 3.0)
    late.replies[0] = replace(late.replies[0], error="TimeoutError", end_s=None)
    monkeypatch.setattr(turns, "drive_hold", lambda *_: (HOLD, late))
    assert turns.hold(source, servers, 2.0)[2]
    assert (settled, seen) == ([1], [Step.HOLD, Step.HOLD_LATE])
