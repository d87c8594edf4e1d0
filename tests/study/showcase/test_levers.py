"""The notes on the levers have the figures of the recording that ships, and its answer."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from statistics import median

from processes.commands import run_script
from tables import rows_of

from objectives.recording import RecordedLaunch, read

ROOT = Path(__file__).resolve().parents[3]
NOTES = (ROOT / "study/guides/notes/h200_levers.md").read_text()
RECORDING = read(ROOT / "objectives/recordings/h200_levers.jsonl")


def cell_of(launches: list[RecordedLaunch]) -> str:
    """Return what the table says of launches with one size, with or without graphs."""
    ms = [e.measurement.services["llm"].latency_p95_ms for e in launches if e.measurement]
    return f"{min(ms):,.0f} to {max(ms):,.0f}" if ms else ""


def test_the_table_of_the_notes_is_that_of_the_recording() -> None:
    by_size = {row[0].split(" (")[0]: row for row in rows_of(NOTES)}
    launches = defaultdict(list)
    for e in RECORDING.entries:
        launches[e.values["vllm_memory_mib"], e.values["vllm.enforce_eager"]].append(e)
    for (mib, is_eager), own in launches.items():
        row = by_size[f"{mib:,}"]
        cell = row[3 if is_eager else 2]
        if any(e.measurement for e in own):
            assert cell.startswith(cell_of(own)) and f"({len(own)}" in cell
            tokens = [e.measurement.services["llm"].kv_tokens for e in own if e.measurement]
            least, most = (int(x.replace(",", "")) for x in row[1].split(" to "))
            assert least <= min(tokens) and max(tokens) <= most
        else:
            short = sorted(e.diagnosis.deficit_mib for e in own if e.diagnosis)
            assert all(f"{mib:,.0f}" in cell for mib in (short[0], short[-1]))


def test_what_graphs_save_is_that_of_the_recording() -> None:
    ms = defaultdict(list)
    for e in RECORDING.entries:
        if e.measurement:
            key = e.values["vllm_memory_mib"], e.values["vllm.enforce_eager"]
            ms[key].append(e.measurement.services["llm"].latency_p95_ms)
    shorter = [1 - median(ms[mib, False]) / median(ms[mib, True]) for mib, _ in ms]
    assert f"{100 * min(shorter):.0f} to {100 * max(shorter):.0f} % shorter answers" in NOTES


def test_the_notes_say_how_much_was_launched() -> None:
    entries, keys = RECORDING.entries, [e.key for e in RECORDING.entries]
    again = sum(keys.count(key) > 1 for key in set(keys))
    said = f"{len(keys)} launches of {len(set(keys))} configurations, {again} of them launched more"
    assert said in NOTES and again >= len(set(keys)) / 4
    works = [e for e in entries if e.measurement]
    assert f"{len(works)} worked, and all their turns were good" in NOTES
    assert {e.measurement.goodput_pct for e in works} == {100.0}
    assert all(e.replies for e in works)
    baseline = entries[0].values
    with_baseline = {e.card for e in entries if e.values == baseline}
    assert with_baseline == {e.card for e in entries} and len(with_baseline) == 7


def test_the_replay_ends_with_what_the_notes_say(tmp_path: Path) -> None:
    spec = ROOT / "study/specs/h200_levers.yaml"
    replayed = run_script("run_study.py", spec, "--out", tmp_path, "--quiet")
    assert replayed.returncode == 0, replayed.stderr
    assert "The best candidate is 40,540 MiB of the memory for the LLM" in replayed.stdout
    assert "31 % less waiting" in replayed.stdout and "22 to 39 %" in replayed.stdout
    assert "31 % less waiting (95 % interval 22 to 39 %)" in NOTES
