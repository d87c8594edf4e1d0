"""A rollout meets faults at random moments; production ends on the old or on the new version."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from study.promotion.schema import SCHEMA
from study.promotion.seal import put

ROOT = Path(__file__).parents[3]
OLD, NEW = "SHARE=0.5\nKEY=kept\nSIZE=base\n", "SHARE=0.55\nKEY=kept\nSIZE=tiny\n"
LONGEST_S = 4.0
# a service is a file: what a restart took from the env file, which the probe then compares
RESTART = """#!{python}
import pathlib, shutil, sys
shutil.copy("{folder}/voice.env", "{folder}/running.env")
"""
PROBE = """#!{python}
import pathlib, sys
text = pathlib.Path("{folder}/running.env").read_text()
bad = pathlib.Path("{folder}/bad")
sys.exit(1 if bad.exists() and "0.55" in text else 0)
"""
DEPLOYMENT = """
name: voice
device: none
state: {folder}/state
services:
  llm:
    set: {{vllm_memory_util: {{variable: SHARE, low: 0.3, high: 0.7}}}}
    probe: {{kind: command, argv: ["{folder}/probe"], timeout_s: 5}}
    start_timeout_s: {start_s}
    stop_timeout_s: 1
  stt:
    set: {{whisper_model_size: {{variable: SIZE, choices: {{tiny: tiny, base: base}}}}}}
    probe: {{kind: command, argv: ["{folder}/probe"], timeout_s: 5}}
    start_timeout_s: {start_s}
    stop_timeout_s: 1
thresholds: {{baseline_windows: 1, windows: 3, window_s: 0.2, min_requests: 2, p95_ratio: 50}}
env_file: {{path: "{folder}/voice.env", restart: ["{folder}/restart"]}}
memory_timeout_s: 0.4
dead_man_s: {dead_man_s}
"""
LONGEST_WAIT_S = 120.0
PATIENT = {"start_s": 10.0, "dead_man_s": 2 * LONGEST_WAIT_S}  # such a timer must be disarmed
SOON = {"start_s": 1.5, "dead_man_s": 6.0}  # of a change that is left to its timer


def attack(rng: random.Random) -> None:
    """Apply, with a fault in the middle; then roll back, and apply without one.

    Raises:
        AssertionError: Production is neither old nor new, or something was said with a traceback.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fault = rng.choice(("kill", "leave", "terminate", "hang up", "bad", "state", "twice"))
        _set_up(folder, SOON if fault in ("leave", "state") else PATIENT)
        if fault == "bad":
            (folder / "bad").touch()
        apply = _promote(folder, "apply", str(folder / "p.yaml"))
        output = ""
        if fault != "bad":
            time.sleep(rng.uniform(0.5, LONGEST_S))
        match fault:
            case "kill" | "leave":
                apply.kill()
            case "terminate":
                apply.terminate()
            case "hang up":
                apply.send_signal(signal.SIGHUP)
            case "state":
                for file in (folder / "state").rglob("pending.json"):
                    file.write_bytes(rng.randbytes(20))
            case "twice":
                output = _finished(_promote(folder, "apply", str(folder / "p.yaml")), (0, 2, 5))
        if fault == "kill":  # its output ends once its timer is disarmed
            output += _finished(_promote(folder, "rollback"), (0, 2))
        output += _finished(apply, (0, 2, 3, 5, 130, -signal.SIGKILL, -signal.SIGHUP))
        _deploy(folder, PATIENT)
        output += _finished(_promote(folder, "rollback"), (0, 2))
        text = (folder / "voice.env").read_text()
        assert text in (OLD, NEW), (fault, text, output)
        assert (folder / "running.env").read_text() == text, (fault, text, output)
        (folder / "bad").unlink(missing_ok=True)
        output += _finished(_promote(folder, "apply", str(folder / "p.yaml")), (0,))
        assert (folder / "voice.env").read_text() == NEW, (fault, output)
        assert (folder / "running.env").read_text() == NEW, (fault, output)


def _set_up(folder: Path, times: Mapping[str, float]) -> None:
    folder.chmod(0o755)
    for file, text in (("restart", RESTART), ("probe", PROBE)):
        (folder / file).write_text(text.format(python=sys.executable + " -IS", folder=folder))
        (folder / file).chmod(0o755)
    _deploy(folder, times)
    for file in ("voice.env", "running.env"):
        (folder / file).write_text(OLD)
    data = {
        "schema": SCHEMA,
        "status": "confirmed",
        "measured_elsewhere": False,
        "parameters": {"vllm_memory_util": 0.55, "whisper_model_size": "tiny"},
        "metrics": {"winner": {}},
        "versions": {},
        "confirmation": {"verdict": "confirmed"},
        "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    put(data, folder / "p.yaml")


def _deploy(folder: Path, times: Mapping[str, float]) -> None:
    (folder / "deployment.yaml").write_text(DEPLOYMENT.format(folder=folder, **times))


def _promote(folder: Path, verb: str, *words: str) -> subprocess.Popen[str]:
    line = [sys.executable, "scripts/promote.py", verb, *words]
    return subprocess.Popen(
        [*line, "--deployment", str(folder / "deployment.yaml")],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finished(process: subprocess.Popen[str], codes: tuple[int, ...]) -> str:
    """Wait for a promote.py, and for its timer, which writes there too; return what they said."""
    output, _ = process.communicate(timeout=LONGEST_WAIT_S)
    assert "Traceback" not in output, output
    assert process.returncode in codes, (process.args, process.returncode, output)
    return output
