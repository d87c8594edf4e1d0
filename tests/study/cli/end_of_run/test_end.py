"""Checks the end of a run.

It puts today's allocation against the winner, and says what is ruled out and why.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commands import run_script, run_study
from factories import SIZES, cell, make, measurement, write_spec
from studies import Shared, copied, promotion_in


@pytest.fixture(scope="module")
def stdout(shared: Shared) -> str:
    return (shared.finished() / "said.txt").read_text()


def line(stdout: str, begin: str) -> list[str]:
    """Return the cells of the table's line that begins so."""
    (row,) = [x for x in stdout.splitlines() if x.startswith(f"│ {begin}")]
    return [c.strip() for c in row.strip("│").split("│")]


def test_the_winner_stands_beside_today_with_differences_and_a_mark(stdout: str) -> None:
    table = stdout.partition("Today's against the winner")[2]
    assert "50 % + base" in table and "55 % + base" in table
    assert "(in use today)" in table and "(replay: never applicable)" in table
    assert line(table, "LLM: 95 % answered")[1:] == [
        "2,500 ms",
        "2,000 ms",
        "-500 ms (-20 %), better, noise unknown",
    ]
    capacity = line(table, "capacity")
    assert capacity[1:3] == ["8.00 turns/s", "12.00 turns/s"]
    assert capacity[3].startswith("+4.00 turns/s (+50 %), better, noise")
    assert "0.55      │ tiny   │" in stdout and re.search(r"0\.55 +│ tiny .*│ held back +│", stdout)
    assert "voice turn" not in table  # neither has it


def test_what_was_pruned_is_named_with_its_reason_and_evidence(stdout: str) -> None:
    begin = stdout.splitlines().index("2 of 10 configurations are ruled out:")
    why, evidence = stdout.splitlines()[begin + 1 : begin + 3]
    assert why.strip().startswith(
        "the device has not the share that the LLM server asks for (oom_budget): 60 % + "
    )
    assert "60 % + tiny (600 MiB short)" in why and "60 % + base (900 MiB short)" in why
    assert evidence == "    by its log: Free memory is less than desired memory utilization"


def test_where_everything_works_nothing_is_said_of_failures(tmp_path: Path) -> None:
    ran = run_study(make(tmp_path, lambda *_: measurement()), "--out", tmp_path / "out")
    assert ran.returncode == 0 and "ruled out" not in ran.stdout


def test_a_limit_that_was_missed_is_a_reason_too(tmp_path: Path) -> None:
    def full(share: float, size: str) -> object:
        return measurement(free_memory_mib=10.0) if share > 0.52 else cell(share, size)

    make(tmp_path, full)  # type: ignore[arg-type]
    spec = write_spec(tmp_path, gates={"free_memory_mib": 256})
    ran = run_study(spec, "--out", tmp_path / "out")
    assert (
        "over a limit: less memory stays free than the gate asks: 60 % + tiny; 60 % + base; 55"
        in ran.stdout
    )


def test_where_the_baseline_stays_it_stands_beside_what_came_closest(tmp_path: Path) -> None:
    make(tmp_path)
    spec = write_spec(
        tmp_path, search_space={"vllm_memory_util": [0.5], "whisper_model_size": list(SIZES)}
    )
    ran = run_study(spec, "--out", tmp_path / "out")
    table = ran.stdout.partition("Today's against what came closest")[2]
    assert "50 % + tiny" in table and "(held back)" in table


def test_what_is_worse_is_not_called_held_back(tmp_path: Path) -> None:
    make(tmp_path)
    spec = write_spec(
        tmp_path, search_space={"vllm_memory_util": [0.45, 0.5], "whisper_model_size": ["base"]}
    )
    ran = run_study(spec, "--out", tmp_path / "out")
    assert "(not better)" in ran.stdout and "held back" not in ran.stdout


def test_what_was_confirmed_is_marked_so_and_a_changed_confirmation_counts_for_nothing(
    shared: Shared, tmp_path: Path
) -> None:
    spec = copied(shared.finished(), tmp_path) / "spec.yaml"
    file = promotion_in(tmp_path)
    ran = run_script("confirm.py", file, "--out", tmp_path / "out", cwd=tmp_path)
    assert ran.returncode == 5, ran.stderr
    ran = run_study(spec, "--out", tmp_path / "out")
    assert (
        ran.returncode == 0
        and "inconclusive" in ran.stdout.partition("Today's against the winner")[2]
    )
    file.write_text(file.read_text().replace("verdict: inconclusive", "verdict: confirmed"))
    ran = run_study(spec, "--out", tmp_path / "out")
    assert ran.returncode == 0 and "(replay: never applicable)" in ran.stdout
    assert file.name in ran.stdout.partition("What was measured")[2].partition("Today's against")[0]
