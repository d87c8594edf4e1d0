"""Real ramps, recorded with all their answers, show the same had nobody waited for the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from statistics import median

import pytest

from objectives.capacity.ramp_capacity import RampCapacity, ramp_capacity, shows_all
from objectives.capacity.ramp_figures import limits_of
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_rate import RampRate
from objectives.capacity.ramp_replies import HUNG_UP, RampReply
from objectives.capacity.turns import turns_of
from objectives.measurement import GENERATOR
from objectives.recording import read
from objectives.recording.kept_replies import RAMP, replies_of

RECORDINGS = Path(__file__).resolve().parents[3] / "objectives/recordings"
FILES = [("h200.jsonl", 5), ("h200_walls.jsonl", 19), ("of_notes/h200_graphs.jsonl", 2)]
OWN = {"stt_latency_p95_ms": 1000.0, "llm_ttft_p95_ms": 2000.0, "llm_tpot_p95_ms": 100.0}
OTHERS = [
    OWN | {"llm_ttft_p95_ms": 3000.0},
    OWN | {"llm_ttft_p95_ms": 10_000.0},
    OWN | {"llm_tpot_p95_ms": 200.0},
    OWN | {"stt_latency_p95_ms": 500.0, "llm_ttft_p95_ms": 1000.0, "llm_tpot_p95_ms": 50.0},
    {"llm_latency_p95_ms": 10_000.0},
]
Ramp = tuple[Sequence[RampReply], RampRate]


def ramps_in(name: str) -> Iterator[Ramp]:
    """Give the replies of each ramp of a recording, in the order of their turns, and its rate."""
    recording = read(RECORDINGS / name)
    assert recording.provenance.limits == OWN
    for entry in recording.entries:
        replies = [r for r in replies_of(entry.replies or []) if r.ramp == RAMP]
        if entry.measurement is not None and replies:
            rate = RampRange.from_json(entry.measurement.ramp or {}).rate
            yield sorted(replies, key=lambda r: (r.turn, r.scheduled_s)), rate


def hung_up(replies: Iterable[RampReply], now_s: float) -> list[RampReply]:
    """Return the replies of a ramp of which all that was open at a time was hung up then."""
    cut: list[RampReply] = []
    for _, turn in groupby(replies, key=lambda r: r.turn):
        for reply in turn:
            if reply.end_s is not None and reply.end_s <= now_s:
                cut.append(reply)
                continue
            cut.append(replace(reply, first_s=None, end_s=None, tokens=None, error=HUNG_UP))
            break  # what would have followed never left
    return cut


def shown(
    replies: Iterable[RampReply], rate: RampRate, limits_ms: dict[str, float]
) -> RampCapacity:
    return ramp_capacity(turns_of(replies, ("stt", "llm"), limits_of(limits_ms)), rate)


def earliest_cut(ramp: Ramp) -> tuple[list[RampReply], float]:
    """Return the replies of a ramp that was hung up as early as could be, and the time saved."""
    replies, rate = ramp
    last_s = max(r.scheduled_s for r in replies if r.service == "stt")
    ends_s = sorted(r.end_s for r in replies if r.end_s is not None)
    for now_s in (s for s in ends_s if s >= last_s):
        cut = hung_up(replies, now_s)
        if shows_all(turns_of(cut, ("stt", "llm"), limits_of(OWN)), rate):
            return cut, ends_s[-1] - now_s
    raise AssertionError("it is waited out")


@pytest.mark.parametrize(("name", "ramps"), FILES)
def test_a_recorded_ramp_shows_the_same_had_nobody_waited_for_its_last_answers(
    name: str, ramps: int
) -> None:
    saved_s = list[float]()
    for replies, rate in ramps_in(name):
        cut, saved = earliest_cut((replies, rate))
        assert shown(cut, rate, OWN) == shown(replies, rate, OWN)
        saved_s.append(saved)
    assert len(saved_s) == ramps
    assert median(saved_s) > 13


@pytest.mark.parametrize("limits_ms", OTHERS)
def test_under_other_limits_it_shows_the_same_or_says_that_it_is_at_least_that(
    limits_ms: dict[str, float],
) -> None:
    for replies, rate in (ramp for name, _ in FILES for ramp in ramps_in(name)):
        cut, _ = earliest_cut((replies, rate))
        told, whole = shown(cut, rate, limits_ms), shown(replies, rate, limits_ms)
        if told.bound_by != GENERATOR:
            assert told == whole
        elif told.capacity_turns_per_s is not None:
            assert told.capacity_turns_per_s <= (whole.capacity_turns_per_s or 0.0)
