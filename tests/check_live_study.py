"""This program checks what a short live study has left.

    python tests/check_live_study.py DIR        DIR is the study's --out

It needs the standard library and PyYAML only, prints what is there, and exits 1 with every
complaint.
"""

from __future__ import annotations

import json
import math
import re
import sys
import time
from pathlib import Path
from typing import Any

import yaml

MARK = b"ALLOCATION_STUDY_SERVER="
LATENCIES = (
    "stt_latency_ms",
    "stt_latency_p95_ms",
    "llm_latency_ms",
    "llm_latency_p95_ms",
    "llm_ttft_ms",
)
KEYS = ("test_id", "status", "fitness")
PARAMETERS = {"vllm_memory_util", "whisper_model_size"}
GRACE_S = 10.0


def check(out: Path) -> list[str]:
    """Return every complaint about a study's --out; print what is there."""
    trials = [
        json.loads(line)
        for path in sorted(out.glob("*/epoch_*/metrics.jsonl"))
        for line in path.read_text().splitlines()
    ]
    complaints = [f"no metrics.jsonl with a line below {out}"] if not trials else []
    for trial in trials:
        complaints += check_trial(trial)
    pruned = [t for t in trials if t.get("status") == "pruned" and t.get("failure_evidence")]
    classes = [t["failure_class"] for t in pruned]
    complete = [t for t in trials if t.get("status") == "complete"]
    counts = f"{len(complete)} complete, {len(pruned)} pruned ({', '.join(classes) or '-'})"
    print(f"{len(trials)} trials: {counts}")
    if "oom_budget" not in classes:
        complaints.append("no trial was pruned with a real memory failure of class oom_budget")
    if not complete:
        complaints.append("no trial is complete")
    return [*complaints, *check_verdict(out), *check_processes()]


def check_trial(trial: dict[str, Any]) -> list[str]:
    """Return the complaints about one line of metrics.jsonl."""
    name = f"trial {trial.get('trial', '?')}"
    complaints = [f"{name}: {key} is missing" for key in KEYS if key not in trial]
    if not trial.keys() >= PARAMETERS:
        complaints.append(f"{name}: a parameter is missing")
    if trial.get("status") == "pruned" and trial.get("fitness") != 0.0:
        complaints.append(f"{name} is pruned with fitness {trial.get('fitness')}, not 0.0")
    if trial.get("status") == "complete":
        figures = {key: trial.get(key) for key in (*LATENCIES, "fitness")}
        bad = {
            k: v
            for k, v in figures.items()
            if not isinstance(v, int | float) or not math.isfinite(v) or v <= 0
        }
        complaints += [f"{name}: {key} is {value}" for key, value in bad.items()]
    return complaints


def check_verdict(out: Path) -> list[str]:
    """Return the complaints about the verdict.

    It is a candidate of schema 2, or a run that says to stay with what is in use.
    """
    promotions = sorted((out / "promotions").glob("*.yaml"))
    complaints = []
    for path in promotions:
        promotion = yaml.safe_load(path.read_text())
        print(f"promotion: {path.name}")
        if promotion.get("schema") != 2 or promotion.get("status") != "candidate":
            complaints.append(
                f"{path}: schema {promotion.get('schema')}, status {promotion.get('status')}"
            )
        if not set(promotion.get("parameters") or ()) >= PARAMETERS:
            complaints.append(f"{path}: parameters are {promotion.get('parameters')}")
        if not re.fullmatch(r".+_\d{8}_\d{6}", path.stem):
            complaints.append(f"{path}: its name is not NAME_YYYYMMDD_HHMMSS.yaml")
    lines = [
        line for log in sorted(out.glob("*/runner.log")) for line in log.read_text().splitlines()
    ]
    sentences = [line for line in lines if " Stay with " in line]
    print("\n".join(sentences))
    if not promotions and not sentences:
        complaints.append("neither a promotion nor a runner.log that says what to stay with")
    return complaints


def check_processes() -> list[str]:
    """Return a complaint about each server of ours that is left ten seconds from now."""
    deadline = time.monotonic() + GRACE_S
    while (left := servers()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return [f"process {pid} is left: {command}" for pid, command in left.items()]


def servers() -> dict[int, str]:
    """Return the command lines of running processes, by process id.

    They are those that carry our mark and were started in this folder.
    """
    commands = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            variables = (process / "environ").read_bytes().split(b"\0")
            is_ours = any(variable.startswith(MARK) for variable in variables)
            if is_ours and (process / "cwd").readlink() == Path.cwd():
                command = (
                    (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                commands[int(process.name)] = command[:120]
        except OSError:
            continue  # ended, or another user's
    return commands


if __name__ == "__main__":
    sys.exit("\n".join(check(Path(sys.argv[1]))) or 0)
