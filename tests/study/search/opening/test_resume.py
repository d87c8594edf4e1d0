"""Checks a live study on fake servers.

However its process ends, no server is left, and the same command goes on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.live_factories import live
from processes.commands import command, run_study
from processes.forks import Forked, script

from objectives import waiting
from objectives.servers.process import marked
from study.cli.exit_codes import exiting
from study.storage.trial import Trial
from study.storage.trials import rows

pytestmark = pytest.mark.usefixtures("forked")
GONE_S = 10.0


def started(spec: Path, out: Path, phase: str, *, is_fork: bool = False) -> subprocess.Popen[str]:
    """Start the command; its first trial has ended and the next one has come to a phase."""
    start: Any = Forked if is_fork else subprocess.Popen
    line = script("run_study.py", spec, "--out", out) if is_fork else command(spec, "--out", out)
    running: subprocess.Popen[str] = start(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    log, deadline = out / "made" / "runner.log", time.monotonic() + 120
    while not log.exists() or phase not in log.read_text().partition("trial 0: ")[2]:
        if running.poll() is not None or time.monotonic() > deadline:
            running.kill()
            pytest.fail(f"it never came to {phase!r}: {running.communicate()}")
        time.sleep(0.02)
    return running


def ours(out: Path) -> set[str]:
    """Return the marks of the servers that run for this study."""
    return {json.loads(record.read_text())["mark"] for record in out.rglob("*.running.json")}


def left(marks: set[str]) -> list[int]:
    """Return the processes with these marks that are still there after a while."""
    deadline = time.monotonic() + GONE_S
    while (pids := [pid for mark in marks for pid in marked(mark)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return pids


def ended(out: Path) -> list[Trial]:
    study = optuna.load_study(
        study_name="made-tournament-0", storage=f"sqlite:///{out}/made/study.db"
    )
    return rows(study)


def goes_on(spec: Path, out: Path, before: list[Trial]) -> None:
    """Check that the same command measures what is left, and nothing that was measured before."""
    done = {r.number: r for r in before if r.counts}
    ran = run_study(spec, "--out", out)
    assert (ran.returncode, ran.stderr) == (0, "")
    after = ended(out)
    assert {n: r for n, r in enumerate(after) if n in done} == done
    assert (
        Counter(str(r.allocation) for r in after if r.counts and r.repeat_of is None).total() == 3
    )
    interrupted = [r for r in after if r.state == "interrupted"]
    assert len(interrupted) == 1
    last = [
        json.loads(line)
        for line in (out / "made" / "epoch_2" / "metrics.jsonl").read_text().splitlines()
    ]
    launched = [
        {k: line[k] for k in ("vllm_memory_util", "whisper_model_size")}
        for line in last
        if line["repeat_of"] is None
    ]
    assert len(launched) == 3 - len(done)
    assert dict(interrupted[0].allocation.values) in launched
    assert not ours(out)


def test_a_killed_study_leaves_no_server_and_is_resumed(tmp_path: Path) -> None:
    spec, out = live(tmp_path), tmp_path / "out"
    running = started(spec, out, "loading both", is_fork=True)
    marks = ours(out)
    assert len(marks) == 2 and all(marked(mark) for mark in marks)
    running.kill()
    running.communicate()
    assert left(marks) == []
    before = ended(out)
    assert [r.state for r in before if r.repeat_of is None] == [
        "complete"
    ]  # the one that ran is RUNNING there
    goes_on(spec, out, before)


def test_a_stopped_study_ends_its_servers_itself_and_says_how_to_go_on(tmp_path: Path) -> None:
    spec, out = live(tmp_path), tmp_path / "out"
    running = started(spec, out, "starting LLM")
    marks = ours(out)
    running.send_signal(signal.SIGINT)
    _, output = running.communicate(timeout=30)
    assert (running.returncode, output) == (
        130,
        "stopped; servers ended, state kept: run the same command again to go on\n",
    )
    assert [pid for mark in marks for pid in marked(mark)] == []
    before = ended(out)
    states = Counter(r.state for r in before if r.repeat_of is None)
    assert (states["complete"], states["interrupted"], states.total()) == (
        1,
        1,
        2 + states["not_started"],
    )
    goes_on(spec, out, before)


def test_sigterm_is_a_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as raised, exiting():
            os.kill(os.getpid(), signal.SIGTERM)
            waiting.sleep(60)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert raised.value.code == 130
