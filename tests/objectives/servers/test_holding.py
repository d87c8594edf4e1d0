"""The servers of an allocation hold a constant rate of turns, and stay for the next hold."""

import pytest
from made.live_factories import LOW, Phases, setting

from objectives.capacity.holds import Hold
from objectives.capacity.ramp_replies import read
from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.evaluation import Failure, Job, Step
from objectives.servers import blame

pytestmark = pytest.mark.usefixtures("one_generator")


def hold_in(device, folder, *moods, holds=1, **more):
    phases = Phases()
    variant = setting(*moods, hold_s=1, **more)
    with Colocation(variant, device_set(device), folder, on_phase=phases.append) as colocation:
        outcomes = []
        for n in range(holds):
            (folder / f"{n}").mkdir()
            outcomes.append(
                colocation.hold(Job(LOW, 0, folder / f"{n}", is_fresh=n == 0), 10.0 + n)
            )
    return outcomes, [phase.step for phase in phases]


def test_servers_that_run_are_kept_for_the_next_hold(device, tmp_path):
    outcomes, steps = hold_in(device, tmp_path, holds=2)
    assert [(type(h), h.rate_per_s, h.is_held) for h in outcomes] == [
        (Hold, 10.0, True),
        (Hold, 11.0, True),
    ]
    assert (steps.count(Step.STARTING), steps.count(Step.HOLD)) == (2, 2)
    replies = read(tmp_path / "0/hold.jsonl")
    assert len(replies) == 2 * outcomes[0].turns
    assert {r.service for r in replies} == {"stt", "llm"}


def test_a_server_that_dies_in_a_hold_is_a_failure_with_its_class(device, tmp_path, monkeypatch):
    monkeypatch.setattr(blame, "DYING_S", 0.3)
    (failure,), _ = hold_in(device, tmp_path, "oom-under-load --after 4")
    assert isinstance(failure, Failure) and failure.is_ruled_out
    assert failure.diagnosis.victim == "llm"
