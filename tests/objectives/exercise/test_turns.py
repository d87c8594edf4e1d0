"""A ramp and a hold are measured once more where our own requests left late, and then kept."""

from itertools import count

import pytest
import ramps
from factories import endpoints_of

from objectives.capacity.holds import Hold
from objectives.capacity.limits import DEFAULT_LIMITS, Limit
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import RampReply
from objectives.evaluation import Step
from objectives.exercise import turns
from objectives.exercise.ready_servers import ReadyServers
from objectives.load.drive_turns import SentTurns, TurnSource
from objectives.load.generator import Generator
from objectives.servers.blame import Suspects
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Workload

LIMITS = [Limit.of(*x) for x in DEFAULT_LIMITS.items()]
KNOWN = RampRange(0.5, 25.0)
HOLD = Hold(2.0, 90.0, 180, 100)


def sent(rate, late_s):
    """Return a ramp against a queue of 5 turns/s, whose requests after 45 s left late."""
    ramp = SentTurns(rate, ())
    for n, x in enumerate(ramps.replies(5.0, rate)):
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
        lambda: None,
        count(),
    )
    steps = []
    servers = ReadyServers(
        source.generator, endpoints, Suspects({}, {}, []), lambda phase: steps.append(phase.step)
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
    turns.hold(source, servers, 2.0)
    assert seen == steps
