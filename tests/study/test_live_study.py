"""Short live studies on real servers: one is killed and goes on, one has three services."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from processes.commands import run_script

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "tests/specs/ci_live.yaml"
THREE = ROOT / "tests/specs/three_services.yaml"
LATEST_S = 900.0
FIGURES = (
    "fitness",
    "stt_latency_ms",
    "stt_latency_p95_ms",
    "llm_latency_ms",
    "llm_latency_p95_ms",
    "llm_ttft_ms",
)


class Study:
    """One run of a study, and what it has started.

    Args:
        spec: Its spec.
        out: Its --out.
    """

    def __init__(self, spec: Path, out: Path) -> None:
        self.out, self.output = out, out.with_suffix(".txt")
        self.started = set[psutil.Process]()
        self._logged = len(self.log)
        with self.output.open("w") as file:
            command = [sys.executable, "scripts/run_study.py", str(spec), "--out", str(out)]
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)

    @property
    def log(self) -> str:
        """Return what all runs into this folder have logged."""
        return "".join(p.read_text() for p in self.out.glob("*/runner.log"))

    def look(self) -> None:
        """Remember every process below it."""
        with suppress(psutil.NoSuchProcess):
            below = psutil.Process(self.process.pid).children(recursive=True)
            self.started.update(below)

    def wait_for(self, phase: str, server: str) -> None:
        """Wait until this run is in a phase and a process of such a name runs."""
        deadline = time.monotonic() + LATEST_S
        while phase not in self.log[self._logged :] or not self.those(server):
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, (phase, self.those(""), self.log)
            time.sleep(0.2)
            self.look()

    def wait(self) -> int:
        """Wait for its end; return its exit code."""
        deadline = time.monotonic() + LATEST_S
        while (code := self.process.poll()) is None:
            assert time.monotonic() < deadline, self.log
            time.sleep(1.0)
            self.look()
        return code

    def those(self, server: str) -> dict[int, str]:
        """Return the commands of what it has started and still runs, those with such a name."""
        commands = {}
        for process in filter(psutil.Process.is_running, self.started):
            with suppress(psutil.NoSuchProcess):  # a zombie has no command
                commands[process.pid] = " ".join(process.cmdline())
        return {pid: c for pid, c in commands.items() if c and server in c}

    def kill(self, *, with_api_server: bool) -> None:
        """Kill it without a warning, and vLLM's API server with it."""
        self.look()
        api = [p for p, c in self.those("api_server").items() if "supervisor" not in c]
        assert api
        self.process.send_signal(signal.SIGKILL)
        if with_api_server:
            os.kill(api[0], signal.SIGKILL)

    def left(self) -> dict[int, str]:
        """Return the commands of what is left ten seconds from its end."""
        self.process.wait()
        deadline = time.monotonic() + 10
        while self.those("") and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.those("")


@contextmanager
def running(spec: Path, out: Path) -> Iterator[Study]:
    """Run a study, and end it with the block."""
    study = Study(spec, out)
    try:
        yield study
    finally:
        study.process.kill()
        study.process.wait()


@pytest.mark.live
def test_nothing_outlives_a_study_that_is_killed_while_vllm_starts_its_worker(
    tmp_path: Path,
) -> None:
    data = yaml.safe_load(SPEC.read_text())
    del data["services"]["llm"]["env"], data["tenants"]
    data["workload"]["words"] = "assistant"
    data["baseline"]["whisper_model_size"] = "tiny.en"
    spec = tmp_path / "killed.yaml"
    spec.write_text(yaml.safe_dump(data))
    with running(spec, tmp_path / "out") as study:
        study.wait_for("starting LLM", "VLLM::Worker")
        study.kill(with_api_server=False)
        assert study.left() == {}


@pytest.mark.live
def test_a_study_killed_under_load_leaves_nothing_and_goes_on_to_a_verdict(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with running(SPEC, out) as study:
        study.wait_for("ramp of turns", "VLLM::EngineCore")
        study.kill(with_api_server=True)
        assert study.left() == {}
    with running(SPEC, out) as study:
        assert study.wait() == 0, study.output.read_text()
        assert study.left() == {}
    lines = [p.read_text().splitlines() for p in out.glob("*/epoch_*/metrics.jsonl")]
    trials = [json.loads(line) for own in lines for line in own]
    for trial in trials:
        check_trial(trial)
    pruned = [t["failure_class"] for t in trials if t["status"] == "pruned"]
    assert "oom_budget" in pruned, trials  # a real lack of memory
    assert any(t["status"] == "complete" for t in trials), trials
    check_verdict(study)
    [storage] = out.glob("*/study.db")
    ran = run_script("report.py", storage, "-o", tmp_path / "report.html")
    assert ran.returncode == 0 and (tmp_path / "report.html").stat().st_size > 10_000, ran


@pytest.mark.live
def test_three_services_on_two_places_are_measured_and_the_third_finds_no_memory(
    tmp_path: Path,
) -> None:
    data = yaml.safe_load(THREE.read_text())
    data["workload"] |= {"ramp_s": 0, "words": str(THREE.parent / "eight_clips")}
    spec = tmp_path / "three.yaml"
    spec.write_text(yaml.safe_dump(data))
    with running(spec, tmp_path / "out") as study:
        assert study.wait() == 0, study.output.read_text()
        assert study.left() == {}
    [file] = study.out.glob("*/epoch_*/metrics.jsonl")
    trials = [json.loads(line) for line in file.read_text().splitlines()]
    measured = {t["stt.place"]: t for t in trials if t["status"] == "complete"}
    assert {*measured} == {"cpu/int8", "cpu/float32"}, trials
    for trial in measured.values():
        figures = [trial[f"{name}_latency_p95_ms"] for name in ("llm", "stt", "embed")]
        assert all(math.isfinite(f) and f > 0 for f in figures), trial
        assert trial["embed_cold_starts"] and trial["embed_awake_pct"] < 100, trial
    failed = {(t["failure_class"], t["failure_victim"]) for t in trials if t["status"] == "pruned"}
    assert failed == {("oom_startup", "embed")}, trials


def check_trial(trial: dict[str, Any]) -> None:
    """Check one line of metrics.jsonl."""
    assert {"test_id", "vllm_memory_util", "whisper_model_size"} <= trial.keys(), trial
    if trial["status"] == "pruned":
        assert trial["fitness"] == 0.0 and trial["failure_evidence"], trial
    if trial["status"] == "complete":
        figures = [trial[name] for name in FIGURES]
        assert all(math.isfinite(f) and f > 0 for f in figures), trial


def check_verdict(study: Study) -> None:
    """Check that it is a candidate of schema 2, or that it says to stay with what is in use."""
    promotions = [*(study.out / "promotions").glob("*.yaml")]
    for path in promotions:
        promotion = yaml.safe_load(path.read_text())
        assert (promotion["schema"], promotion["status"]) == (2, "candidate")
        assert {"vllm_memory_util", "whisper_model_size"} <= promotion["parameters"].keys()
        assert re.fullmatch(r".+_\d{8}_\d{6}", path.stem)
    assert promotions or " Stay with " in study.log, study.log
