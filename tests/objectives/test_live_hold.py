"""Real servers are held at a constant rate, as a confirmation holds a capacity."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from objectives.capacity.holds import Hold
from objectives.capacity.ramp_replies import read
from objectives.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.devices.open_device import open_device
from objectives.evaluation import Job
from study.spec.load import load
from study.spec.setting import setting_of

ROOT = Path(__file__).resolve().parents[2]
NEVER_MET = {"stt_latency_p95_ms": 0.001}


@pytest.mark.live
def test_what_real_servers_follow_is_held_and_what_they_cannot_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    spec = load(ROOT / "tests/specs/ci_live.yaml")
    setting = setting_of(spec)
    workload = replace(setting.workload, hold_s=20.0, request_timeout_s=120.0)
    easy = dict.fromkeys(setting.limits, 100_000.0)
    setting = replace(setting, workload=workload, limits=easy, tenants=())
    with Colocation(setting, device_set(open_device("cpu")), tmp_path) as colocation:
        held = colocation.hold(Job(spec.baseline, 0, tmp_path, is_fresh=True), 0.3)
        assert isinstance(held, Hold), held
        replies = read(tmp_path / "hold.jsonl")
        colocation.setting = replace(colocation.setting, limits=NEVER_MET)
        lost = colocation.hold(Job(spec.baseline, 0, tmp_path), 1.0)
        assert isinstance(lost, Hold), lost
    assert held.is_held and held.turns > 0
    assert len(replies) == 2 * held.turns
    assert all(r.error is None and r.sent_s is not None for r in replies)
    assert not lost.is_held and 0 < lost.turns < 20
