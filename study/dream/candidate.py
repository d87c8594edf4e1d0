"""This command measures one candidate of a spec and prints it as one line of JSON.

It is called by `objectives/spica_gpu_allocation.py`, which runs where this project's packages may
not be installed. Its words are those of the design: pass, fail, invalid, error.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectives import waiting
from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.colocation.colocation import Colocation
from objectives.devices.open_device import open_device
from objectives.errors import BadInput, InUse, SetupError, StudyError
from objectives.evaluation import Job, Outcome
from objectives.plain_data.atomic import write_atomic
from objectives.servers.supervision.supervisor import LIBC, PR_SET_PDEATHSIG
from study.bench.bench import Bench
from study.bench.loan import borrowed
from study.bench.run_lock import alone
from study.bench.source import find_source
from study.cli.exit_codes import exiting
from study.service_pause.options import Lending
from study.spec.load import load
from study.spec.model import Spec
from study.text import one_line

WAIT_S = 3600.0  # for a runner that evaluates several at once: they take turns
LOOK_S = 1.0


def main() -> None:
    """Measure the candidate that the arguments name, or look at the device."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)  # a runner that dies leaves no servers
    options = argparse.ArgumentParser()
    options.add_argument("spec", type=Path)
    options.add_argument("--experiment")
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--candidate")
    options.add_argument("--state", action="store_true")
    arguments = options.parse_args()
    with exiting():
        try:
            answer = _answer(arguments)
        except (StudyError, OSError) as error:
            print(json.dumps({"status": "error", "reason": one_line(str(error))}))
            raise
        print(json.dumps(answer))


def _answer(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what is asked for.

    Raises:
        StudyError: The spec or this machine does not allow it.
    """
    spec = load(arguments.spec, arguments.experiment)
    if arguments.state:
        return {"status": "pass", "state": state_of(spec.device)}
    candidate: Mapping[str, Any] = json.loads(arguments.candidate)
    return answer_for(spec, candidate, arguments.folder)


def answer_for(spec: Spec, candidate: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what became of a candidate; what it does not name is as in use today."""
    common = {
        "parameters": {**spec.baseline.values, **candidate},
        "request_timeout_ms": 1000 * spec.workload.request_timeout_s,
    }
    try:
        outcome = measured(spec, _allocation(spec, candidate), folder)
    except BadInput as error:
        return common | {"status": "invalid", "reason": one_line(str(error))}
    except SetupError as error:
        return common | {"status": "error", "reason": one_line(str(error))}
    if outcome.measurement is not None:
        flat = outcome.measurement.flat()
        ooms = outcome.measurement.oom_events
        return common | {"status": "pass", "figures": flat, "oom_events": ooms}
    if outcome.failure is None:
        return common | {"status": "error", "reason": outcome.setup_error or "given up"}
    return common | {
        "status": "fail",
        "reason": one_line(str(outcome.failure)),
        "figures": dict(outcome.failure.measured),
        "oom_events": int(outcome.failure.is_ruled_out),
    }


def measured(spec: Spec, allocation: Allocation, folder: Path) -> Outcome:
    """Return the outcome of one evaluation, on this machine or of the spec's recording.

    Raises:
        BadInput: The recording has no such launch.
        SetupError: This machine cannot measure.
    """
    source = find_source(spec, spec.sampler, say=lambda _: None, warn=lambda _: None)
    job = Job(allocation, spec.workload.seed, folder / str(time.time_ns()), is_fresh=True)
    if source.recording is not None:
        source.recording.cell(allocation)
        return source.recording.measure(job)
    if source.bench is None:
        raise SetupError("neither a recording nor a device to measure on")
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            with (
                alone(folder),
                borrowed(spec.baseline, source.bench, Lending(), lambda _: None),
            ):
                kept = folder / f"ramp-{spec.text_sha256[:16]}.json"
                return _live(source.bench, job, folder, kept)
        except InUse:
            if time.monotonic() > deadline:
                raise
            waiting.sleep(LOOK_S)


def _live(bench: Bench, job: Job, folder: Path, kept: Path) -> Outcome:
    """Launch the candidate; every one of a spec climbs a ramp of the same range.

    Args:
        bench: This machine.
        job: The candidate.
        folder: The folder for logs.
        kept: The file of that range.
    """
    known = RampRange.from_json(json.loads(kept.read_text())) if kept.is_file() else None
    job.folder.mkdir(parents=True, exist_ok=True)
    with Colocation(bench.setting, bench.devices, folder, ramp_range=known) as colocation:
        outcome = colocation.measure(job)
        if colocation.ramp_range is not None:
            write_atomic(kept, json.dumps(colocation.ramp_range.to_json()))
    return outcome


def state_of(device_name: str) -> dict[str, Any]:
    """Return the memory of a device now, and who holds it.

    Raises:
        SetupError: It cannot be opened.
    """
    device = open_device(device_name)
    total, free = device.identity.total_mib, device.sample().free_mib
    return {
        "total_mb": round(total),
        "used_mb": round(total - free),
        "free_mb": round(free),
        "utilization_pct": round(100 * (total - free) / total, 1),
        "processes": [
            {"pid": o.pid, "name": o.command[:80], "memory_mb": round(o.mib or 0)}
            for o in device.occupants()
        ],
    }


def _allocation(spec: Spec, candidate: Mapping[str, Any]) -> Allocation:
    """Return the allocation of a candidate.

    Raises:
        BadInput: A value is unknown to the spec, or beyond its bounds.
    """
    values = dict(spec.baseline.values)
    parameters = {p.name: p for p in spec.search_space.parameters}
    for name, value in candidate.items():
        if name not in values:
            raise BadInput(f"{name} is no parameter of {spec.path.name}")
        if name in spec.bounds:
            low, high = spec.bounds[name]
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not low <= value <= high:
                raise BadInput(f"{name}={value} is outside the bounds {low:g} to {high:g}")
        elif name in parameters:
            try:
                parameters[name].encode(value)
            except (ValueError, TypeError) as error:
                raise BadInput(str(error)) from error
        elif value != values[name]:
            raise BadInput(f"{name}={value}: the spec does not search it")
        values[name] = value
    return Allocation(values)
