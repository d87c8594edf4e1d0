"""An evaluation runs one candidate in a process of its own, within its time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from objectives.plain_data.atomic import write_atomic
from objectives.servers.supervision.supervisor import descendants
from study.dream.experiments.model import GenericExperiment
from study.dream.generic.figures import flattened
from study.dream.generic.watching import EvaluationWatch
from study.dream.windows import Windows

HOST = Path(__file__).with_name("host.py")
FIRST_GPU = "cuda"
HIDDEN_GPU = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
LARGEST_RESULT = 4 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Evaluated:
    """An evaluation has figures, or says why it has none.

    Args:
        figures: What the evaluator returned, flat.
        failure: Why there is nothing: error, timeout, memory, crash, bad_result, or a window in
            which somebody measured; None where there is something.
        error: The same in words.
        seconds: What it took, without pauses.
        paused_s: How long it stood still, seconds.
    """

    figures: Mapping[str, Any] = field(default_factory=dict)
    failure: str | None = None
    error: str = ""
    seconds: float = 0.0
    paused_s: float = 0.0


def evaluate(
    experiment: GenericExperiment,
    candidate: Mapping[str, Any],
    context: Mapping[str, Any],
    folder: Path,
    limit_s: float,
    windows: Windows | None = None,
) -> Evaluated:
    """Call the evaluator once; when it returns, nothing that it started is alive.

    Args:
        experiment: Whose evaluator it is.
        candidate: The values to evaluate.
        context: What it is told beside them.
        folder: The folder for its request, its result and what it prints.
        limit_s: The time after which it is killed, seconds.
        windows: Those of others who measure, beside whom it must stand still; None: of nobody.
    """
    folder.mkdir(parents=True, exist_ok=True)
    request, result, log = (folder / n for n in ("request.json", "result.json", "evaluator.log"))
    result.unlink(missing_ok=True)
    evaluator, budget = experiment.evaluator, experiment.budget
    data = {"evaluator": evaluator.to_json(), "candidate": candidate, "context": context}
    write_atomic(request, json.dumps(data, default=str))
    python = evaluator.python or sys.executable
    earlier = frozenset(descendants(os.getpid()))
    log.unlink(missing_ok=True)
    began = time.monotonic()
    try:
        with log.open("ab") as out:  # it goes on at the end where it was cut
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
    watch = EvaluationWatch(
        process, earlier, log, limit_s, budget.memory_mib, windows, budget.pausable
    )
    try:
        failure = watch.wait()
    finally:
        watch.end()
    if failure is not None:
        outcome = Evaluated(failure=failure[0], error=failure[1])
    elif (read := result_of(folder)) is not None:
        outcome = read
    else:
        code = process.returncode
        words = f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        outcome = Evaluated(failure="crash", error=f"the evaluator {words}; {log}")
    seconds = time.monotonic() - began - watch.paused_s
    return replace(outcome, seconds=seconds, paused_s=watch.paused_s)


def result_of(folder: Path) -> Evaluated | None:
    """Return the result that an evaluator has written whole; None where there is none."""
    file = folder / "result.json"
    try:
        if (size := file.stat().st_size) > LARGEST_RESULT:
            return _bad(f"evaluate() returned {size / 2**20:.0f} MiB; a result is a few figures")
        answer = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    except RecursionError:
        return _bad("evaluate() returned data that is nested too deeply")
    if "failure" in answer:
        return Evaluated(failure=str(answer["failure"]), error=str(answer["error"]))
    if not isinstance(answer.get("result"), dict):
        kind = type(answer.get("result")).__name__
        return _bad(f"evaluate() returned {kind}, not a dict of figures")
    return Evaluated(flattened(answer["result"]))


def _bad(error: str) -> Evaluated:
    return Evaluated(failure="bad_result", error=error)


def environment(experiment: GenericExperiment) -> dict[str, str]:
    """Return the environment of an evaluator; without `allow_gpu` it sees no GPU."""
    cpus = str(experiment.budget.cpus)
    env = {"OMP_NUM_THREADS": cpus, "MKL_NUM_THREADS": cpus, **os.environ}
    if not experiment.budget.allow_gpu:
        env |= dict.fromkeys(HIDDEN_GPU, "")
    elif experiment.device != FIRST_GPU:  # the one that this turn holds
        env["CUDA_VISIBLE_DEVICES"] = experiment.device.removeprefix("cuda:")
    return env
