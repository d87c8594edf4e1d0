"""Checks the runner as a whole, in real processes: cycles, SIGTERM, and kill -9 at any moment."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.dream import dream_file, entry
from processes.commands import ROOT, run_script
from processes.forks import Forked, script

MARKED = "ROTATION_OF_A_TEST"
MOMENTS = int(os.environ.get("DREAM_KILLS", "3"))
SLOW = """
import time
def evaluate(candidate):
    time.sleep(0.15)
    return {"height": 10 - abs(candidate["x"] - 3), "ms": 5}
"""
SPACE = {"x": list(range(1000))}


def started(folder: Path, *more: str, is_fork: bool = True) -> subprocess.Popen[bytes]:
    """Start a runner; where it is a fork, so are its turns."""
    words = ("--config", folder / "dream.yaml", "--logdir", folder / "log", "--out", folder / "art")
    real = [sys.executable, str(ROOT / "scripts/run_dream.py"), *map(str, words), *more]
    start: Any = Forked if is_fork else subprocess.Popen
    line = script("run_dream.py", *words, *more) if is_fork else real
    env = {**os.environ, MARKED: str(folder)}
    runner: subprocess.Popen[bytes] = start(line, stdout=subprocess.DEVNULL, env=env)
    return runner


def alive(folder: Path) -> list[int]:
    """Return the processes that a runner in a folder has started, and itself."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            is_ours = f"{MARKED}={folder}".encode() in path.read_bytes().split(b"\0")
        except OSError:
            continue
        if is_ours:
            pids.append(int(path.parent.name))
    return pids


def until(holds, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def finished(folder: Path) -> dict[int, dict[str, int]]:
    """Return the evaluations that the study holds as finished."""
    url = f"sqlite:///{folder / 'art/toy/study.db'}"
    study = optuna.load_study(study_name="toy", storage=url)
    return {
        t.number: t.user_attrs["candidate"]
        for t in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    }


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    evaluator = {"path": "toy.py"}
    budget = {"max_candidates": 6, "wallclock_sec": 60}
    one = entry(evaluator=evaluator, search_space=SPACE, budget=budget)
    dream_file(tmp_path, one, code=SLOW)
    return tmp_path


@pytest.mark.usefixtures("forked")
def test_kills_lose_nothing_that_was_finished(slow: Path) -> None:
    """Kill the runner alone, as the kernel would; set DREAM_KILLS for more moments than here."""
    moments = random.Random(5)
    log = slow / "log/toy.jsonl"
    known: dict[int, dict[str, int]] = {}
    for _ in range(MOMENTS):
        runner = started(slow)
        count = len(log.read_text().splitlines()) if log.exists() else 0
        until(lambda: log.exists() and len(log.read_text().splitlines()) > count)  # noqa: B023
        time.sleep(moments.uniform(0, 0.5))
        assert runner.pid in alive(slow)
        runner.kill()
        runner.wait()
        until(lambda: not alive(slow))  # what it had started ends with it
        now = finished(slow)
        assert {n: now[n] for n in known} == known
        known = now
    assert started(slow, "--cycles", "1").wait(120) == 0
    known = finished(slow)
    candidates = [c["x"] for c in known.values()]
    assert len(candidates) == len(set(candidates)) >= MOMENTS
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert sorted(line["trial"] for line in lines) == sorted(known)
    metrics = [
        json.loads(line)["test_id"]
        for path in slow.glob("art/toy/epoch_*/metrics.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert len(metrics) == len(set(metrics)) == len(known)


def test_sigterm_ends_all_within_10_s_and_it_goes_on(slow: Path) -> None:
    code = "import time\ndef evaluate(c): time.sleep(60)"
    (slow / "toy.py").write_text(code)
    runner = started(slow, is_fork=False)
    until(lambda: any((slow / "art/toy/trials").glob("*/*/evaluator.log")))
    began = time.monotonic()
    runner.send_signal(signal.SIGTERM)
    assert runner.wait(30) == 130
    assert time.monotonic() - began < 10
    assert not alive(slow)
    state = json.loads((slow / "log/state.json").read_text())
    assert state["progress"]["spica_toy"]["ending"] == "interrupted" and not state["running"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--experiment", "toy"), 2, "it holds no experiment 'toy'; use spica_toy"),
        (("--cycles", "0"), 2, "--cycles must be from 1"),
        (("--out", "/proc/x"), 2, "name another --out"),
    ],
)
def test_what_is_wrong_is_one_line(words, code, message, tmp_path) -> None:
    path = dream_file(tmp_path, entry())
    ran = run_script("run_dream.py", "--config", path, "--logdir", tmp_path / "log", *words)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (code, 1)
    assert message in ran.stderr


def test_the_module_is_the_same_command(tmp_path: Path) -> None:
    line = [sys.executable, "-m", "study.dream", "--help"]
    ran = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "--epochs-per-cycle" in ran.stdout


def test_the_unit_runs_the_same_command_under_quotas(tmp_path: Path) -> None:
    path = dream_file(tmp_path, entry())
    words = ("--config", path, "--logdir", tmp_path / "a log", "--max-parallel", 2)
    ran = run_script("run_dream.py", *words, "--print-unit")
    assert ran.returncode == 0
    lines = dict(line.split("=", 1) for line in ran.stdout.splitlines() if "=" in line[:20])
    command = shlex.split(lines["ExecStart"])
    assert command[1:] == [
        *("-m", "study.dream", "--config", str(path), "--logdir", str(tmp_path / "a log")),
        *("--epochs-per-cycle", "1", "--max-parallel", "2", "--sleep-between-cycles", "0"),
    ]
    assert lines["CPUQuota"].endswith("%") and lines["MemoryMax"].endswith("M")
    assert lines["TimeoutStopSec"] == "10" and "@" not in ran.stdout
    assert not (tmp_path / "a log").exists()


def test_the_status_shows_every_experiment_and_runs_nothing(tmp_path: Path) -> None:
    path = dream_file(
        tmp_path, entry(), entry(name="off", enabled=False), entry(name="bad", seed=-1)
    )
    ran = run_script("run_dream.py", "--config", path, "--logdir", tmp_path / "log", "--status")
    assert ran.returncode == 0 and not (tmp_path / "log").exists()
    for text in ("spica_toy", "in this cycle", "off", "disabled", "bad", "skipped"):
        assert text in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 80


@pytest.mark.usefixtures("forked")
def test_a_file_that_is_edited_to_nonsense_leaves_the_one_before_in_force(slow: Path) -> None:
    log = slow / "log/runner.log"
    runner = started(slow, "--cycles", "2")
    until(lambda: log.exists() and "begins" in log.read_text())
    (slow / "dream.yaml").write_text("experiments: [{name: spica_toy")
    assert runner.wait(120) == 0
    text = log.read_text()
    assert "the file before stays in force: " in text and "dream.yaml:1: not valid YAML" in text
    assert text.count("turn ended: ") == 2
    assert len(finished(slow)) > 2
