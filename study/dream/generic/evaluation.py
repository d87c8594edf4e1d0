"""Evaluate one candidate in a process of its own, within its limits of time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from objectives.plain_data.atomic import write_atomic
from objectives.servers.supervisor import descendants
from study.dream.experiments.model import GenericExperiment
from study.dream.generic.figures import flattened

HOST = Path(__file__).with_name("host.py")
LOOK_S = 0.05
FIRST_GPU = "cuda"
HIDDEN_GPU = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation has figures, or says why it has none.

    Args:
        figures: What the evaluator returned, flat.
        failure: Why there is nothing: error, timeout, memory, crash or bad_result; None where
            there is something.
        error: The same in words.
        seconds: What it took.
    """

    figures: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    error: str = ""
    seconds: float = 0.0


def evaluate(
    experiment: GenericExperiment,
    candidate: Mapping[str, Any],
    context: Mapping[str, Any],
    folder: Path,
    limit_s: float,
) -> Evaluated:
    """Call the evaluator once; when it returns, nothing that it started is alive.

    Args:
        candidate: The values to evaluate.
        context: What it is told beside them.
        folder: The folder for its request, its result and what it prints.
        limit_s: The time after which it is killed, seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    request, result, log = (folder / n for n in ("request.json", "result.json", "evaluator.log"))
    result.unlink(missing_ok=True)
    evaluator = experiment.evaluator
    data = {"evaluator": evaluator.to_json(), "candidate": candidate, "context": context}
    write_atomic(request, json.dumps(data, default=str))
    python = evaluator.python or sys.executable
    earlier = set(descendants(os.getpid()))
    began = time.monotonic()
    failure: tuple[str, str] | None = None
    try:
        with log.open("wb") as out:
            process = subprocess.Popen(
                [python, str(HOST), str(request), str(result)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=environment(experiment),
                start_new_session=True,
            )
    except OSError as error:
        return Evaluated(failure="error", error=f"{python} cannot be started ({error.strerror})")
    try:
        failure = _watched(process, began + limit_s, limit_s, experiment.budget.memory_mib)
    finally:
        end_all(process, earlier)
    seconds = time.monotonic() - began
    if failure is not None:
        return Evaluated(failure=failure[0], error=failure[1], seconds=seconds)
    read = result_of(folder)
    if read is None:
        code = process.returncode
        words = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return Evaluated(failure="crash", error=f"the evaluator {words}; {log}", seconds=seconds)
    return Evaluated(read.figures, read.failure, read.error, seconds)


def result_of(folder: Path) -> Evaluated | None:
    """Return the result that an evaluator has written whole; None where there is none."""
    try:
        answer = json.loads((folder / "result.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if "failure" in answer:
        return Evaluated(failure=str(answer["failure"]), error=str(answer["error"]))
    if not isinstance(answer.get("result"), dict):
        kind = type(answer.get("result")).__name__
        error = f"evaluate() returned {kind}, not a dict of figures"
        return Evaluated(failure="bad_result", error=error)
    return Evaluated(flattened(answer["result"]))


def environment(experiment: GenericExperiment) -> dict[str, str]:
    """Return the environment of an evaluator; without `allow_gpu` it sees no GPU."""
    cpus = str(experiment.budget.cpus)
    env = {"OMP_NUM_THREADS": cpus, "MKL_NUM_THREADS": cpus, **os.environ}
    if not experiment.budget.allow_gpu:
        env |= dict.fromkeys(HIDDEN_GPU, "")
    elif experiment.device != FIRST_GPU:  # the one that this turn holds
        env["CUDA_VISIBLE_DEVICES"] = experiment.device.removeprefix("cuda:")
    return env


def _watched(
    process: subprocess.Popen[bytes], deadline: float, limit_s: float, memory_mib: float | None
) -> tuple[str, str] | None:
    """Wait for the end; return why it was not waited for, where it was not."""
    while True:
        left = deadline - time.monotonic()
        try:
            process.wait(max(0.0, left if memory_mib is None else min(left, LOOK_S)))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                return "timeout", f"timeout_{limit_s:g}s"
            if memory_mib is not None and (held := held_mib(process.pid)) > memory_mib:
                return "memory", f"it held {held:,.0f} MiB, {memory_mib:,.0f} are allowed"
        else:
            return None


def held_mib(pid: int) -> float:
    """Return what a process and all below it hold of the memory, MiB."""
    total = 0
    for each in (pid, *descendants(pid)):
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(each).memory_info().rss
    return total / 2**20


def end_all(process: subprocess.Popen[bytes], earlier: set[int]) -> None:
    """Kill a process and whatever it started, also what left its session.

    Args:
        earlier: What ran below this process before.
    """
    empty_looks = 0
    deadline = time.monotonic() + 8.0
    while empty_looks < 2 and time.monotonic() < deadline:
        below = {*descendants(process.pid), *descendants(os.getpid())} - earlier
        if process.poll() is None:
            below.add(process.pid)
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        empty_looks = 0 if below else empty_looks + 1
        if below:
            time.sleep(0.01)
    process.wait()
