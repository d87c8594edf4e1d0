"""The log of changes says which of them was judged."""

from __future__ import annotations

from pathlib import Path

from study.deploy.state import pending
from study.deploy.watch.promotions import is_verdict


def test_a_change_whose_process_ended_was_not_judged(tmp_path: Path) -> None:
    pending.note(tmp_path, "rolled_back", {"why": "p95"})
    pending.note(tmp_path, "rolled_back", {"why": "it died", "died_in": "soak"})
    pending.note(tmp_path, "rolled_back", {"why": "its process ended in step: soak"})  # of 0.1
    assert [is_verdict(event) for event in pending.events(tmp_path)] == [True, False, False]
