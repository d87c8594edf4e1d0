"""These tests read what a comparison leaves: tables, figures and files with their origin."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from made.factories import run_of
from processes.commands import needs, run_script

from study.sampler_benchmark.ask_time import AskTime, ask_times
from study.sampler_benchmark.chart import Chart
from study.sampler_benchmark.contest import entered
from study.sampler_benchmark.statistics import FigureEstimate, estimates
from study.sampler_benchmark.tables import Table, asking, by_problem, target_table

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPT = REPOSITORY / "scripts/compare_samplers.py"
PNG = b"\x89PNG"


def script(*arguments, cwd):
    env = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env=env,
    )


def test_a_table_says_who_is_tied_and_what_was_not_run():
    runs = [
        run_of(sampler=s, seed=n, found=5 + n % 2) for s in ("tournament", "tpe") for n in range(9)
    ]
    runs += [run_of("ridge", "tournament", seed=n, found=4) for n in range(9)]
    table = target_table(estimates(runs), 1)
    assert table.head == ("problem", "tournament", "tpe")
    assert table.rows == (("smooth", "5.4", "5.4="), ("ridge", "4.0", "-"))


def test_a_table_of_a_problem_has_an_interval_with_every_figure():
    runs = [
        run_of(sampler=s, seed=n, found=5 + n % 2) for s in ("tournament", "tpe") for n in range(9)
    ]
    (table,) = by_problem(estimates(runs))
    assert table.title == "smooth, 1 at a time"
    for _, n, *cells in table.rows:
        assert n == "9"
        assert all(" to " in cell for cell in cells)


def test_jupyter_is_shown_markdown():
    assert Table("T", ("a",), (("1",),))._repr_markdown_() == "**T**\n\n| a |\n|---|\n| 1 |"


def test_what_was_not_timed_is_a_dash():
    times = [
        AskTime("gp", "memory", 100, 0, 3, 900.0, 800.0, 1000.0),
        AskTime("gp", "memory", 1000, 0, 0, *[None] * 3, "slow"),
        AskTime("gp", "memory", 100, 8, 3, 90.0, 80.0, 100.0),
    ]
    table = asking(times)
    assert table.head[1:] == ("memory, 100", "memory, 1,000", "memory, 100, 8 pending")
    assert table.rows == (("gp", "900.0 (800.0 to 1000.0)", "-", "90.0 (80.0 to 100.0)"),)


@pytest.mark.parametrize("storage", ["memory", "sqlite", "journal"])
def test_an_ask_is_timed_in_every_storage_and_leaves_no_file(tmp_path, storage):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    times = list(ask_times(["random", "tournament"], tmp_path, sizes=[5, 10], storages=[storage]))
    assert [(t.sampler, t.trials) for t in times] == [
        (s, n) for n in (5, 10) for s in ("random", "tournament")
    ]
    assert all(0 < t.low_ms <= t.ms <= t.high_ms for t in times)
    assert list(tmp_path.iterdir()) == []


def test_an_ask_beside_pending_trials_is_timed_in_one_round(tmp_path, monkeypatch):
    tells = []
    monkeypatch.setattr(optuna.Study, "tell", lambda *_: tells.append(1))
    (timing,) = ask_times(["tournament"], tmp_path, sizes=[5], storages=["memory"], pending=[9])
    assert (timing.pending, timing.n, tells) == (9, 7, [])
    assert timing.ms > 0


def test_a_sampler_that_is_slow_is_not_asked_in_a_larger_study(tmp_path, monkeypatch):
    monkeypatch.setattr("study.sampler_benchmark.ask_time.PATIENCE_MS", 0.0)
    first, second = ask_times(["random"], tmp_path, sizes=[5, 50], storages=["memory"])
    assert first.ms is not None
    assert second.ms is None
    assert "the median at 5 trials was" in second.why_not


def test_the_figures_and_files_of_a_comparison_are_whole_and_say_where_they_come_from(tmp_path):
    needs("matplotlib", "bench")
    from study.sampler_benchmark.results import compare_samplers

    contest, notes = entered(["tournament", "random", "exhaustive"], ["noisy-cliff"], seeds=2)
    results = compare_samplers(
        contest, tmp_path, jobs=1, ask_sizes=[20], ask_storages=["memory"], notes=notes
    )
    written = {path.name for path in tmp_path.iterdir()}
    figures = {
        f"{kind}-{batch}.png"
        for kind in ("regret", "trials-to-target", "naming")
        for batch in (1, 5)
    }
    assert written == {
        "runs.jsonl",
        "results.csv",
        "asks.csv",
        "results.md",
        "ask-time.png",
        *figures,
    }
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in figures)
    text = (tmp_path / "results.csv").read_text()
    head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    for fact in (
        "git commit",
        "optuna 5",
        "machine: ",
        "command: ",
        "seeds of noisy-cliff, from 0: tournament 2",
        "what does not fit, tournament, random, exhaustive: PRUNED",
    ):
        assert fact in head
    rows = list(csv.DictReader(io.StringIO(text.removeprefix(head))))
    assert set(rows[0]) == set(FigureEstimate.__slots__)
    assert all(row["low"] and row["high"] and row["n"] == "2" for row in rows)
    assert {row["figure"] for row in rows} >= {
        "trials_to_target",
        "missed",
        "regret_40",
        "oom_repeats",
        "repeats",
    }
    assert results.tables[0].head[1:] == ("tournament", "random", "exhaustive")


def test_the_quick_comparison_runs_from_the_command_line_and_again_goes_on(tmp_path, monkeypatch):
    needs("matplotlib", "bench")
    words = ("--quick", "--seeds", 1, "--jobs", 1, "--out", tmp_path / "out")
    done = script(*words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Mean trials to the target" in done.stdout
    before = (tmp_path / "out/runs.jsonl").read_text()
    monkeypatch.setattr(Chart, "save", lambda *_: None)  # they are drawn already
    again = run_script("compare_samplers.py", *words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "out/runs.jsonl").read_text() == before


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--samplers", "tpee"], "unknown sampler 'tpee'"),
        (["--problems", "smoth"], "unknown problem 'smoth'"),
        (["--seeds", "0"], "--seeds must be 1 or more"),
        (["--batches", "0"], "--batches must be 1 or more"),
    ],
)
def test_a_user_s_mistake_is_one_sentence_and_exit_code_2(tmp_path, arguments, error):
    done = run_script("compare_samplers.py", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert error in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
