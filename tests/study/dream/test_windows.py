"""Checks that a study's measuring windows are quiet, with real turns beside each other."""

from __future__ import annotations

import itertools
import re
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.dream import dream_file, entry
from processes.commands import ROOT
from rigs.systemd_rig import SPEC

from objectives.evaluation import Phase, Step
from study.dream.rotation.turn_process import TurnProcess
from study.dream.turns.terminal import TIMED
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob
from study.wording.phases import phase_in_words

pytestmark = pytest.mark.usefixtures("forked")

CANDIDATES = 10  # of 0.4 s each: more than the study's windows leave time for
# it waits for the study's first launch, which may itself wait for busy cores
TICKING = """
import os
import time
def evaluate(candidate):
    while not os.path.exists({begun!r}):
        time.sleep(0.01)
    with open({file!r}, "a") as file:
        for _ in range(40):
            file.write(f"{{time.time()}}\\n")
            file.flush()
            time.sleep(0.01)
    return {{"height": candidate["x"], "ms": 5}}
"""


def job(folder: Path, name: str) -> TurnJob:
    return TurnJob(
        config=folder / "dream.yaml",
        in_force=folder / "dream.yaml",
        name=name,
        root=folder / "art",
        logdir=folder / "log",
        report=folder / f"log/turns/{name}.json",
    )


def own() -> dict[str, Any]:
    server = f"{sys.executable} -IS {ROOT / 'tests/support/fake_servers/fakes.py'} --port {{port}}"
    spec: dict[str, Any] = yaml.safe_load(SPEC.format(server=server))
    return {**spec, "name": "lend", "budget": {"max_candidates": 2, "max_generations": 1}}


def windows(log: str) -> list[tuple[float, float]]:
    """Return when each window was open, from the study's own log, seconds since 1970."""
    timed = {phase_in_words(Phase(step)) for step in TIMED}
    moments = []
    for line in log.splitlines():
        if match := re.fullmatch(r"(\d{4}-\S+ \S+,\d{3}) (.*)", line):
            at = datetime.strptime(match[1], "%Y-%m-%d %H:%M:%S,%f").timestamp()
            moments.append((at, match[2].strip() in timed))
    return [(a, b) for (a, is_timed), (b, _) in itertools.pairwise(moments) if is_timed]


def test_nothing_runs_beside_a_measuring_window(tmp_path: Path) -> None:
    ticks, begun = tmp_path / "ticks", tmp_path / "begun"
    (tmp_path / "log").mkdir()
    code = TICKING.format(file=str(ticks), begun=str(begun))
    budget = {"max_candidates": CANDIDATES, "wallclock_sec": 3000}
    evaluator, space = {"path": "toy.py"}, {"x": list(range(CANDIDATES))}
    toy = entry(name="toy", budget=budget, evaluator=evaluator, search_space=space)
    dream_file(tmp_path, own(), toy, code=code)
    turns = {name: TurnProcess(job(tmp_path, name)) for name in ("lend", "toy")}
    reports: dict[str, Report] = {}
    log = tmp_path / "art/lend/runner.log"
    while len(reports) < 2:
        if log.exists() and phase_in_words(Phase(Step.CHECKING)) in log.read_text():
            begun.touch()
        for name, turn in turns.items():
            if name not in reports and (report := turn.poll()) is not None:
                reports[name] = report
        time.sleep(0.1)
    assert reports["lend"].evaluated == 2, reports["lend"]
    assert reports["toy"].ending in (TurnEnding.RAN, TurnEnding.FINISHED)
    assert reports["toy"].evaluated == CANDIDATES, "what was ended in vain is evaluated again"
    assert reports["toy"].held_s > 1
    moments = [float(line) for line in ticks.read_text().split()]
    quiet = windows(log.read_text())
    assert sum(b - a for a, b in quiet) > 2 and len(moments) > CANDIDATES * 40
    # it closes a moment before the next phase is logged
    beside = [m for m in moments for a, b in quiet if a < m < b - 0.3]
    assert not beside, beside
