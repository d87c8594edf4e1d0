"""Real vLLM leaves nothing behind when the study, alone or with the API server, is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from objectives.servers.supervision.supervisor import MARK

ROOT = Path(__file__).resolve().parents[3]
SPEC = ROOT / "tests" / "specs" / "ci_live.yaml"


def ours() -> dict[int, str]:
    """Return the command lines of all processes that carry our servers' mark, by process id."""
    commands = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"{MARK}=".encode() in (entry / "environ").read_bytes():
                    commands[int(entry.name)] = (
                        (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    )
            except OSError:
                continue
    return commands


@pytest.mark.live
@pytest.mark.parametrize(
    ("phase", "with_api_server"),
    [("starting LLM", False), ("ramp of turns", True)],
    ids=["at start", "under load"],
)
def test_nothing_outlives_a_killed_study(tmp_path: Path, phase: str, with_api_server: bool) -> None:
    before = set(ours())
    command = [sys.executable, "scripts/run_study.py", str(SPEC), "--out", str(tmp_path)]
    output = tmp_path / "output.txt"
    with output.open("w") as file:
        study = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
        try:
            log = tmp_path / "ci_live" / "runner.log"
            deadline = time.monotonic() + 240
            while not (log.exists() and phase in log.read_text()):
                assert study.poll() is None, output.read_text()
                assert time.monotonic() < deadline, f"no {phase!r} in {log}"
                time.sleep(0.2)
            engine = "EngineCore"
            while not any(engine in c or "multiprocessing" in c for c in ours().values()):
                assert time.monotonic() < deadline, "the engine process never started"
                time.sleep(0.2)
            api = [pid for pid, c in ours().items() if "api_server" in c and "supervisor" not in c]
            assert api
            study.send_signal(signal.SIGKILL)
            if with_api_server:
                os.kill(api[0], signal.SIGKILL)
        finally:
            study.kill()
            study.wait()
    deadline = time.monotonic() + 10
    while set(ours()) - before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(ours()) - before == set()
