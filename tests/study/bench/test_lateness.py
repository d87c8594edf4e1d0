"""How late requests leave beside servers is measured at each rate, and shown and kept."""

import json

from made.live_factories import live, shelf

from study.bench import lateness
from study.bench.lateness import Lateness, lateness_beside, save_lateness, show_lateness
from study.spec.load import load


def test_each_rate_has_its_requests_and_their_lateness(tmp_path, monkeypatch, capsys):
    spec_file = live(tmp_path)
    monkeypatch.setattr(lateness, "bench", lambda *_: shelf(spec_file))
    lines = []
    table = lateness_beside(load(spec_file), [8.0, 16.0], 0.5, tmp_path / "logs", lines.append)
    assert "the load generator" in lines[0]
    assert [(row.per_s, row.requests) for row in table] == [(8.0, 4), (16.0, 8)]
    assert all(0 <= row.p50_ms <= row.p99_ms <= row.max_ms for row in table)
    save_lateness(table, tmp_path / "late.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "late.jsonl").read_text().splitlines()]
    assert [Lateness(**row) for row in rows] == table
    show_lateness(table)
    assert "p99_ms" in capsys.readouterr().out
