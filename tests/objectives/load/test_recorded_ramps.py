"""Real ramps, recorded with all their answers, show the same had nobody waited for the last."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pytest

from objectives.capacity.ramp_capacity import ramp_capacity
from objectives.capacity.ramp_figures import limits_of
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_replies import HUNG_UP
from objectives.capacity.turns import Turn, turns_of
from objectives.load.ramp import shows_all
from objectives.recording import read
from objectives.recording.kept_replies import RAMP, replies_of

RECORDINGS = Path(__file__).resolve().parents[3] / "objectives/recordings"


def known_at(turn: Turn, now_s: float) -> bool | None:
    return turn.is_good if turn.end_s is not None and turn.end_s <= now_s else None


@pytest.mark.parametrize(
    ("name", "ramps"),
    [("h200.jsonl", 5), ("h200_walls.jsonl", 19), ("of_notes/h200_graphs.jsonl", 2)],
)
def test_a_recorded_ramp_shows_the_same_had_nobody_waited_for_its_last_answers(
    name: str, ramps: int
) -> None:
    recording, saved_s = read(RECORDINGS / name), list[float]()
    limits = limits_of(recording.provenance.limits)
    for entry in recording.entries:
        replies = [r for r in replies_of(entry.replies or []) if r.ramp == RAMP]
        if entry.measurement is None or not replies:
            continue
        rate = RampRange.from_json(entry.measurement.ramp or {}).rate
        turns = turns_of(replies, entry.measurement.services, limits)
        times_s, ends_s = [t.scheduled_s for t in turns], [t.end_s or 0.0 for t in turns]
        now_s = next(
            s
            for s in sorted(ends_s)
            if s >= times_s[-1] and shows_all(rate, times_s, [known_at(t, s) for t in turns], s)
        )
        cut = [
            t if known_at(t, now_s) is not None else Turn(t.scheduled_s, None, (HUNG_UP,))
            for t in turns
        ]
        assert ramp_capacity(cut, rate) == ramp_capacity(turns, rate)
        saved_s.append(max(ends_s) - now_s)
    assert len(saved_s) == ramps
    assert median(saved_s) > 13
