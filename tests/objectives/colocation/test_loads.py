"""A launch is measured under turns on fake servers, and its replies tell their turns."""

import json

import pytest
from made.live_factories import LOW, setting

from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.evaluation import Job
from objectives.load import ramp
from objectives.recording.kept_replies import WINDOW, kept_in, replies_of, under

TURNS = {"window_s": 2, "turns_per_s": 8, "llm_per_s": 2, "llm_burst": 4, "stt_per_s": 0}
RAMP = {"ramp_s": 10, "ramp_doubling_s": 1}


def test_a_window_of_turns_tells_their_time_and_how_many_were_good(device, tmp_path, monkeypatch):
    monkeypatch.setattr(ramp, "COMPLETION_WINDOW_S", 1.0)  # else 2,000 turns in its tenth second
    limits = {"stt_latency_p95_ms": 0.001}  # every turn misses it, and no request outside one
    with Colocation(
        setting(limits=limits, **TURNS, **RAMP), device_set(device), tmp_path
    ) as colocation:
        m = colocation.measure(Job(LOW, 0, tmp_path / "0")).measurement
    assert m is not None
    assert (m.figure("stt_offered"), m.figure("llm_offered"), m.failure_rate) == (16, 20, 0)
    assert m.goodput_pct == pytest.approx(100 * 4 / 20)
    assert m.figure("stt_latency_ms") < m.turn_ttft_ms <= m.turn_ttft_p95_ms
    assert m.ramp["first_per_s"] == 2.0  # a quarter of the window's turns
    assert m.segments[0]["turn_ttft_ms"] == m.turn_ttft_ms
    lines = (tmp_path / "0/replies.jsonl").read_text().splitlines()
    turns = [json.loads(line)["turn"] for line in lines]
    assert sorted(t for t in turns if t is not None) == sorted([*range(16)] * 2)
    rows = kept_in(tmp_path / "0") or ()
    assert sum(r.ramp == WINDOW and r.turn is None for r in replies_of(rows)) == 4
    easy = {"stt_latency_p95_ms": 60_000.0}
    assert under(m, rows, easy, pause_s=1.0).goodput_pct == 100
    assert under(m, rows, easy, pause_s=1.0).turn_ttft_ms == m.turn_ttft_ms
