"""The notes on a narrowed card have the figures of the recording that ships."""

from __future__ import annotations

from pathlib import Path

from tables import rows_of

from objectives.recording import read

ROOT = Path(__file__).resolve().parents[3]


def test_the_table_of_the_notes_is_that_of_the_recording() -> None:
    table = rows_of((ROOT / "study/guides/notes/12gb.md").read_text())
    head, rows = table[0], {row[0]: row for row in table[1:]}
    entries = read(ROOT / "objectives/recordings/h200_12gb.jsonl").entries
    assert (
        len({(e.values["vllm_memory_mib"], e.values["whisper_model_size"]) for e in entries}) == 15
    )
    for entry in entries:
        row = rows[f"{entry.values['vllm_memory_mib']:,}"]
        cell = row[head.index(str(entry.values["whisper_model_size"]))]
        measured = entry.measurement
        assert (measured is None) == (cell == "does not start")
        if measured is not None:
            [device] = measured.devices.values()
            assert cell.removesuffix(", compiled first") == f"{device.free_memory_mib:,.0f}"
            assert f"{measured.services['llm'].kv_tokens:,}" in row[2]
