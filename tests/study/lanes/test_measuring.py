"""A card is measured on once the lanes of a driver that was killed have left it."""

from __future__ import annotations

import threading
from pathlib import Path

from made.live_factories import promotion, shelf

from study.confirmation.subject import subject
from study.lanes.lock import lane_lock
from study.lanes.measuring import cards_borrowed
from study.service_pause.options import Lending


def test_one_card_too_is_waited_for_while_a_lane_ends_there(tmp_path: Path) -> None:
    baseline = subject(promotion(tmp_path)).baseline
    machine = shelf(tmp_path / "fakes.yaml")
    is_held, left = threading.Event(), list[str]()

    def lane() -> None:
        with lane_lock(machine.identity.uuid):
            is_held.set()
            threading.Event().wait(0.5)
            left.append("the lane")

    thread = threading.Thread(target=lane)
    thread.start()
    assert is_held.wait(10)
    with cards_borrowed(baseline, [machine], Lending(), lambda _: None):
        left.append("the card")
    thread.join()
    assert left == ["the lane", "the card"]
