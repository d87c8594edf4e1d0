"""The notes on the 5 x 3 space have the figures of the recording that ships, and its answer."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from processes.commands import run_script
from tables import rows_of

from objectives.recording import read

ROOT = Path(__file__).resolve().parents[3]
FAILED = {
    "kv_too_small": "does not start",
    "oom_budget": "does not start",
    "oom_runtime_llm": "out of memory under load",
}


def test_the_table_of_the_notes_is_that_of_the_recording() -> None:
    table = rows_of((ROOT / "study/guides/notes/h200_walls.md").read_text())
    head, rows = table[0], {row[0].split(" (")[0]: row for row in table[1:]}
    entries = read(ROOT / "objectives/recordings/h200_walls.jsonl").entries
    launches = defaultdict(list)
    for entry in entries:
        launches[entry.values["vllm_memory_mib"], entry.values["whisper_model_size"]].append(entry)
    assert len(entries) == 37
    assert len(launches) == 15 and min(map(len, launches.values())) == 2
    assert len({entry.card for entry in entries}) == 4
    for (mib, size), own in launches.items():
        row = rows[f"{mib:,}"]
        cell = row[head.index(str(size))]
        if own[0].diagnosis is not None:
            assert {cell.split(", ")[0]} == {FAILED[e.diagnosis.failure_class] for e in own}
            continue
        assert cell.split(", with")[0] == ", ".join(
            f"{e.measurement.capacity_turns_per_s:.2f}" for e in own
        )
        for e in own:
            assert row[1] == f"{e.measurement.services['llm'].kv_tokens:,}"
            assert e.measurement.capacity_bound_by == "kv"
        if size == "base":
            least = min(d.free_memory_mib for e in own for d in e.measurement.devices.values())
            assert row[-1] == f"{least:,.0f}"


def test_the_replay_ends_as_the_live_study_did(tmp_path: Path) -> None:
    replayed = run_script(
        "run_study.py", ROOT / "study/specs/h200_walls.yaml", "--out", tmp_path, "--quiet"
    )
    assert replayed.returncode == 0, replayed.stderr
    assert "The best candidate is 44,593 MiB of the memory for the LLM" in replayed.stdout
    assert "64 % more capacity (4.47 turns/s instead of 2.74; 97.5 % interval" in replayed.stdout
