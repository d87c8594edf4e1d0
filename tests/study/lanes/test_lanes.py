"""Lanes are real processes here, whose figures are made up: what becomes of one that is lost."""

import json
import os
import signal
import time

import pytest
from fake_cards.fake_lane import PROGRAM, NumberedCard
from made.live_factories import setting

from objectives.allocation import Allocation
from objectives.devices.device_set import device_set, first_of
from objectives.errors import SetupError
from objectives.evaluation import Job
from study.lanes.lane import Ended, GivenBack, Task
from study.lanes.lanes import Lanes
from study.lanes.losses import Patience
from study.lanes.process import channel
from study.lanes.process.lane_process import Here

pytestmark = pytest.mark.usefixtures("forked")
QUICK = Patience(silent_s=60.0, overtime_s=20.0, memory_s=1.0, end_s=10.0)
SHARES = (0.40, 0.45, 0.50, 0.55)


@pytest.fixture
def lines():
    return []


@pytest.fixture
def opened(tmp_path, lines):
    """Return what opens lanes of cards that are in moods."""
    opened = []

    def open_(moods=None, cards=("GPU-a", "GPU-b"), patience=QUICK):
        (tmp_path / "moods.json").write_text(json.dumps(moods or {}))
        lanes = Lanes(
            [device_set(*map(NumberedCard, card.split())) for card in cards],
            setting(),
            tmp_path,
            say=lines.append,
            patience=patience,
            transport=Here(PROGRAM),
        )
        opened.append(lanes.__enter__())
        while not all(lane.is_ready for lane in lanes.living):
            lanes.wait()
        return lanes

    yield open_
    for lanes in opened:
        lanes.close()


def tasks(folder, count, **more):
    for number in range(count):
        allocation = Allocation(
            {"vllm_memory_util": SHARES[number % 4], "whisper_model_size": "base"}
        )
        job = Job(allocation, number, folder / "trials" / str(number))
        yield Task(number, f"trial {number}", job, **more)


def run(lanes, todo, limit_s=60.0):
    """Feed the lanes until all is ended; return the ends in their order."""
    todo, ends, until = list(todo), [], time.monotonic() + limit_s
    while (todo or lanes.tasks) and time.monotonic() < until:
        for lane in lanes.free():
            if todo:
                lanes.give(lane, todo.pop(0))
        ends += lanes.wait()
    ends += lanes.wait() if not ends else []
    assert time.monotonic() < until, [lane.phase for lane in lanes.lanes]
    return ends


def numbers(ends, kind=Ended):
    return sorted(end.task.number for end in ends if isinstance(end, kind))


def test_each_task_is_measured_once_and_both_lanes_work(opened, tmp_path):
    ends = run(opened(), tasks(tmp_path, 6))
    assert numbers(ends) == [0, 1, 2, 3, 4, 5]
    assert {end.card for end in ends} == {"GPU-a", "GPU-b"}
    assert all(end.outcome.measurement is not None and end.lost == () for end in ends)
    logs = {p.parent.name for p in (tmp_path / "lanes").glob("*/orders.log")}
    assert logs == {"GPU-a", "GPU-b"}


@pytest.mark.parametrize(
    ("mood", "word"),
    [
        ("is killed", "SIGKILL"),
        ("crashes", "nobody foresaw this"),
        ("is stopped", "said nothing for 3 s"),
        ("babbles", "no lane tells"),
        ("hangs", "was at work for 3 s"),
    ],
)
def test_the_task_of_a_lost_lane_is_measured_by_another(
    opened, lines, tmp_path, monkeypatch, mood, word
):
    monkeypatch.setattr(channel, "BEAT_S", 0.2)
    lanes = opened({"GPU-a": [mood, "well"]})
    quick = {"is stopped": Patience(silent_s=3.0), "hangs": Patience(overtime_s=1.0)}
    lanes.patience = quick.get(mood, QUICK)
    ends = run(lanes, tasks(tmp_path, 4))
    assert numbers(ends) == [0, 1, 2, 3]
    (again,) = [end for end in ends if end.lost]
    assert again.card == "GPU-b" and word in again.lost[0]
    assert again.task.job.folder.name == f"{again.task.number}-attempt-2"
    assert any("GPU-a was lost" in line and "is tried again" in line for line in lines)
    assert lanes.lanes[0].losses == 1 and not lanes.lanes[0].retired


def test_what_no_lane_can_end_is_given_back_and_the_others_go_on(opened, tmp_path):
    lanes = opened(
        {"GPU-a": ["is killed", "well"], "GPU-b": ["well"]}, patience=Patience(retries=0)
    )
    ends = run(lanes, tasks(tmp_path, 4))
    assert len(numbers(ends, GivenBack)) == 1 and len(numbers(ends)) == 3


def test_a_lane_that_is_lost_three_times_is_used_no_more(opened, lines, tmp_path):
    lanes, todo, ends = opened({"GPU-a": ["is killed"]}), tasks(tmp_path, 999), []
    while lanes.lanes[0].retired is None:
        for lane in lanes.free():
            lanes.give(lane, next(todo))
        ends += lanes.wait()
    ends += run(lanes, [])
    assert numbers(ends) == [*range(len(ends))] and {end.card for end in ends} == {"GPU-b"}
    assert "lost 3 times" in lanes.lanes[0].retired
    assert any(line.startswith("GPU-a is used no more") for line in lines)


def test_no_lane_left_is_said_with_each_ones_reason(opened, tmp_path):
    lanes = opened({"GPU-a": ["is killed"], "GPU-b": "refuses"})
    with pytest.raises(
        SetupError, match=r"no lane is left.*GPU-a.*3 times.*GPU-b: its card is not"
    ):
        run(lanes, tasks(tmp_path, 3))


def test_a_card_of_another_product_is_used_no_more(opened, lines, tmp_path):
    ends = run(opened({"GPU-b": "is another"}), tasks(tmp_path, 2))
    assert {end.card for end in ends} == {"GPU-a"}
    assert any("Another card is not comparable with Made-up card" in line for line in lines)


def test_an_answer_of_another_attempt_is_ignored(opened, tmp_path):
    ends = run(opened({"GPU-a": ["answers twice"]}, cards=("GPU-a",)), tasks(tmp_path, 3))
    assert numbers(ends) == [0, 1, 2]


def test_a_task_of_one_card_waits_for_it_and_is_given_back_with_it(opened, tmp_path):
    lanes = opened({"GPU-a": ["is killed", "well"]})
    todo = list(tasks(tmp_path, 1, card="GPU-a"))
    while not lanes.lanes[0].is_free:
        lanes.wait()
    lanes.give(lanes.lanes[0], todo[0])
    ends = run(lanes, [])
    assert [end.card for end in ends] == ["GPU-a"] and len(ends[0].lost) == 1


def test_memory_that_does_not_come_back_ends_the_use_of_a_card(opened, lines, tmp_path):
    lanes = opened({"GPU-a": ["is killed"]})
    first_of(lanes.lanes[0].devices).free_mib = 2_000.0
    ends = run(lanes, tasks(tmp_path, 3))
    assert {end.card for end in ends} == {"GPU-b"}
    lanes.lanes[0].lost_s -= 2.0
    lanes.wait()
    assert lanes.lanes[0].retired == "9,000 MiB of its memory did not come back"


def test_memory_is_awaited_on_each_card_of_a_set(opened, tmp_path):
    lanes = opened({"GPU-a GPU-b": ["is killed"]}, cards=("GPU-a GPU-b", "GPU-c GPU-d"))
    lanes.lanes[0].devices["GPU-b"].free_mib = 3_000.0
    ends = run(lanes, tasks(tmp_path, 3))
    assert {end.card for end in ends} == {"GPU-c GPU-d"}
    lanes.lanes[0].lost_s -= 2.0
    lanes.wait()
    assert lanes.lanes[0].retired == "8,000 MiB of its memory did not come back"


def test_lanes_end_with_their_driver_also_one_that_is_stopped(opened, tmp_path):
    lanes = opened({"GPU-a": ["hangs"], "GPU-b": ["hangs"]}, patience=Patience(end_s=1.0))
    todo = list(tasks(tmp_path, 2))
    while todo:
        for lane in lanes.free():
            lanes.give(lane, todo.pop())
        lanes.wait()
    pids = [lane.process.pid for lane in lanes.lanes]
    os.kill(pids[0], signal.SIGSTOP)
    lanes.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
