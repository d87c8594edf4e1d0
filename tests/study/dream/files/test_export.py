"""Checks the files against what reads them: the design's commands, and the ancestor's filters."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.dream.files.export import Export
from study.dream.files.promotion import write_generic_promotion
from study.dream.records import Record, trial_id


def record(number: int, fitness: float | None, study: str = "toy", **params: Any) -> Record:
    return Record(
        number=number,
        test_id=trial_id("toy", study, number),
        ts=100 + number,
        params=params or {"x": number},
        figures={} if fitness is None else {"ms": 5.0, "status": "pass"},
        canonical={} if fitness is None else {"ms": 5.0, "latency": 5.0},
        fitness=fitness,
        status="failed" if fitness is None else "complete",
        error="timeout_20s" if fitness is None else None,
        study=study,
    )


def export(folder: Path) -> Export:
    (folder / "log").mkdir(exist_ok=True)
    return Export(folder / "art", folder / "log", "spica_toy", "toy")


def written(folder: Path, records: Sequence[Record]) -> bool:
    made = export(folder)
    made.add(records)
    return made.finish(records, [r.params for r in records[:1]])


def shell(command: str, folder: Path) -> str:
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def test_the_lines_of_the_log_are_the_ancestors(tmp_path: Path) -> None:
    written(tmp_path, [record(0, 0.5), record(1, None)])
    first, second = map(json.loads, (tmp_path / "log/toy.jsonl").read_text().splitlines())
    assert list(first)[:6] == [
        "ts",
        "experiment",
        "params",
        "raw_metrics",
        "canonical_metrics",
        "fitness",
    ]
    assert first["experiment"] == "spica_toy"
    assert (second["error"], second["fitness"]) == ("timeout_20s", -1e18)


def test_the_commands_of_the_design_and_of_the_ancestor_read_them(tmp_path: Path) -> None:
    records = [record(0, 0.5), record(1, None), record(2, 0.7)]
    written(tmp_path, records)
    write_generic_promotion(tmp_path / "art", "toy", "spica_toy", records, {"ms": 6.0})
    art = tmp_path / "art"
    assert '"test_id"' in shell("cat toy/epoch_*/metrics.jsonl | jq .", art)
    assert shell("ls promotions/ | grep toy", art).startswith("toy_2")
    assert "parameters:" in shell("cat promotions/toy_*.yaml", art)
    success = "tail -50 log/*.jsonl | jq -r 'select(.fitness > -1e18) | .fitness' | wc -l"
    assert shell(success, tmp_path).strip() == "2"
    failed = "tail -50 log/*.jsonl | jq -r 'select(.fitness == -1e18) | .fitness' | wc -l"
    assert shell(failed, tmp_path).strip() == "1"
    winners = "find winners -name '*.json' -type f | xargs -I {} jq -r '.best.fitness' {}"
    assert shell(winners, art).strip() == "0.7"
    assert shell("jq -r .best.params.x winners/spica_toy.json", art).strip() == "2"
    unique = "tail -20 log/toy.jsonl | jq -r 'select(.params) | .params | @json' | sort -u | wc -l"
    assert shell(unique, tmp_path).strip() == "3"


def test_a_line_of_the_metrics_is_flat(tmp_path: Path) -> None:
    written(tmp_path, [record(0, 0.5, x=1, name="b")])
    (line,) = (tmp_path / "art/toy/epoch_1/metrics.jsonl").read_text().splitlines()
    data = json.loads(line)
    assert list(data) == ["test_id", "status", "x", "name", "ms", "fitness", "ts"]
    assert not any(isinstance(v, dict | list) for v in data.values())
    assert data["status"] == "pass"


def test_what_is_nested_is_text_in_a_line_of_the_metrics(tmp_path: Path) -> None:
    one = record(0, 0.5, parts=["cpu", "memory"])
    written(tmp_path, [replace(one, figures={**one.figures, "by_size": {"a": [1]}})])
    (line,) = (tmp_path / "art/toy/epoch_1/metrics.jsonl").read_text().splitlines()
    data = json.loads(line)
    assert (data["parts"], data["by_size"]) == ('["cpu", "memory"]', '{"a": [1]}')
    assert not any(isinstance(v, dict | list) for v in data.values())


def test_every_epoch_has_a_folder_and_a_moment_that_leads_to_it(tmp_path: Path) -> None:
    records = [record(0, 0.5)]
    written(tmp_path, records)
    written(tmp_path, [*records, record(1, 0.4)])
    home = tmp_path / "art/toy"
    assert sorted(p.name for p in home.glob("epoch_*")) == ["epoch_1", "epoch_2"]
    links = sorted((p for p in home.iterdir() if p.is_symlink()), key=lambda p: int(p.name))
    assert [p.resolve().name for p in links] == ["epoch_1", "epoch_2"]
    summary = json.loads((links[1] / "summary.json").read_text())
    assert (summary["best_fitness"], summary["best_params"]) == (0.5, {"x": 0})
    assert len((home / "epoch_2/gen_0_candidates.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("cut", [1, 25])
def test_a_line_that_a_kill_has_cut_off_is_written_again(tmp_path: Path, cut: int) -> None:
    records = [record(0, 0.5), record(1, 0.6)]
    written(tmp_path, records)
    log = tmp_path / "log/toy.jsonl"
    whole = log.read_text()
    log.write_text(whole[:-cut])
    written(tmp_path, records)
    assert log.read_text() == whole


def test_a_winner_is_replaced_by_a_better_one_only(tmp_path: Path) -> None:
    path = tmp_path / "art/winners/toy.json"
    records = [record(0, 0.5)]
    assert written(tmp_path, records)
    before = path.stat().st_mtime_ns
    assert not written(tmp_path, [*records, record(1, 0.4)])
    assert path.stat().st_mtime_ns == before
    assert written(tmp_path, [*records, record(1, 0.4), record(2, 0.6)])
    assert json.loads(path.read_text())["best"]["fitness"] == 0.6
    assert json.loads((tmp_path / "art/survivors/toy.json").read_text()) == [{"x": 0}]


def test_nothing_better_than_the_beginning_is_no_promotion(tmp_path: Path) -> None:
    assert write_generic_promotion(tmp_path, "toy", "toy", [record(0, 0.0)], {}) is None
    first = write_generic_promotion(tmp_path, "toy", "toy", [record(0, 0.2)], {"ms": 9.0})
    second = write_generic_promotion(tmp_path, "toy", "toy", [record(0, 0.2)], {"ms": 9.0})
    assert first is not None and second is not None and first != second
    data = yaml.safe_load(first.read_text())
    assert (data["parameters"], data["reference_metrics"]) == ({"x": 0}, {"ms": 9.0})
