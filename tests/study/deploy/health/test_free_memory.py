"""A start waits for the memory of what was stopped."""

from __future__ import annotations

import pytest
from made.factories import Card

from study.deploy.errors import StepFailed
from study.deploy.health import free_memory
from study.deploy.health.free_memory import wait_for_memory


def test_memory_is_waited_for_and_its_holder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "MEMORY_LOOK_S", 0.05)
    assert wait_for_memory(Card(1000.0, 5000.0, 9000.0, 9001.0), 8000.0, 5.0) == 9001.0
    with pytest.raises(
        StepFailed, match=r"1,000 MiB are free of 8,000 needed; held by a game \(pid 7\)"
    ):
        wait_for_memory(Card(1000.0), 8000.0, 0.06)
