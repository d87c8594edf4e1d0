"""A window is replayed once more where our own requests left late, and then kept."""

from __future__ import annotations

from typing import Any

import pytest

from objectives.evaluation import Step
from objectives.exercise import exercise
from objectives.exercise.exercise import Exercise
from objectives.exercise.ready_servers import ReadyServers
from objectives.load.generator import Generator
from objectives.load.open_loop import Window
from objectives.load.replies import Reply
from objectives.servers.blame import Suspects
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Workload


def windows(monkeypatch: pytest.MonkeyPatch, late_s: list[float], **more: Any) -> Any:
    """Let one window after the other leave as late as this; return what happened, in order."""
    happened: list[Any] = []
    left = iter(late_s)

    def drive(*_: Any, **__: Any) -> Window:
        sent_s = next(left)
        times = {"scheduled_s": 0.0, "sent_s": sent_s, "end_s": sent_s + 0.02}
        whole = Reply(service="llm", first_s=sent_s + 0.01, tokens=2, **times)
        return Window(replies=[whole], **more)

    monkeypatch.setattr(exercise, "drive", drive)
    suspects = Suspects({}, {"llm": "completions"}, {})
    servers = ReadyServers(Generator(), {}, suspects, lambda phase: happened.append(phase.step))
    one = Exercise(Workload(), read_clips("assistant"))
    return one, servers, happened


@pytest.mark.parametrize(
    ("late_s", "steps", "is_late"),
    [
        ([0.0], [Step.LOADING], False),
        ([2.0, 0.0], [Step.LOADING, Step.LOADING_AGAIN], False),
        ([2.0, 2.0], [Step.LOADING, Step.LOADING_AGAIN], True),
    ],
)
def test_a_late_window_is_replayed_once_more(
    monkeypatch: pytest.MonkeyPatch, late_s: list[float], steps: list[Step], is_late: bool
) -> None:
    one, servers, happened = windows(monkeypatch, late_s)
    _, figures = one.window(servers)
    assert (happened, figures["lag_exceeded"]) == (steps, is_late)


def test_a_late_window_that_was_given_up_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    one, servers, happened = windows(monkeypatch, [2.0], is_given_up=True)
    _, figures = one.window(servers)
    assert (happened, figures["lag_exceeded"]) == ([Step.LOADING], True)
