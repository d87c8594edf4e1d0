"""A start waits for the memory of what was stopped."""

from __future__ import annotations

import pytest

from objectives.devices.device import Occupant, Sample
from study.deploy.errors import StepFailed
from study.deploy.health.free_memory import wait_for_memory


class Card:
    """A device whose free memory is another at each look, and which a game shares."""

    def __init__(self, *free: float) -> None:
        self.free = list(free)

    def sample(self) -> Sample:
        return Sample(0.0, self.free.pop(0) if len(self.free) > 1 else self.free[0])

    def occupants(self) -> list[Occupant]:
        return [Occupant(7, "a game", 3000.0, None)]


def test_memory_is_waited_for_and_its_holder_is_named() -> None:
    assert wait_for_memory(Card(1000.0, 5000.0, 9000.0, 9001.0), 8000.0, 5.0) == 9001.0
    with pytest.raises(
        StepFailed, match=r"1,000 MiB are free of 8,000 needed; held by a game \(pid 7\)"
    ):
        wait_for_memory(Card(1000.0), 8000.0, 0.6)
