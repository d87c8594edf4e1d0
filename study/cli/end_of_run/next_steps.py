"""Say what to type next, and where nothing works the nearest change that would."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.diagnosis.diagnose import Diagnosis, consequence_of
from objectives.engines.engine import Engine
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from study.cli.checkout import as_typed, script_command
from study.promotion import seal
from study.promotion.schema import is_current
from study.promotion.status import Status, status_of
from study.storage.find import DEFAULT
from study.storage.url import sqlite_file, without_password

SERVERS = Path(".servers/vllm")  # where the shipped spec of the CPU looks for them
OWN_SPEC = Path("my_gpu.yaml")

NextStep = tuple[list[str], str]  # the words of a command, and what it does


def next_commands(
    storage: str, study: str, promotion: Path | None, *, is_replay: bool
) -> list[str]:
    """Return what to type next, each with what it does.

    Args:
        promotion: The winner's file, if there is one.
    """
    file = sqlite_file(storage)
    place = [without_password(storage) if file is None else str(file)] if file != DEFAULT else []
    report = [*script_command("report"), *place, "--study", study]
    steps = [
        (report, "the whole answer as one file to send"),
        ([*script_command("dashboard"), *place], "look at every trial in the browser"),
    ]
    if promotion is not None and promotion.is_file():
        steps += _of_promotion(promotion)
    if is_replay:
        steps += _of_own_devices()
    return ["Next:", *(f"  {shlex.join(words)}    # {what}" for words, what in steps)]


def _of_promotion(promotion: Path) -> list[NextStep]:
    """Return how a promotion becomes confirmed, and then applied."""
    data = seal.read_unsealed(promotion)
    match status_of(data) if is_current(data) else None:
        case Status.CANDIDATE | Status.INCONCLUSIVE:
            what = "is it really better? fresh launches of both, in turn"
            return [([*script_command("confirm"), str(promotion)], what)]
        case Status.CONFIRMED:
            plan = [*script_command("promote"), "plan", str(promotion)]
            return [(plan, "what applying it would change")]
    return []


def _of_own_devices() -> list[NextStep]:
    """Return how this machine is measured after a replay: without a GPU, and with one's own."""
    steps: list[NextStep] = []
    run, specs = script_command("run_study"), Path(str(files("study"))) / "specs"
    is_checkout = Path("scripts/run_study.py").is_file()
    if SERVERS.is_dir():
        dry_run = [*run, as_typed(specs / "cpu.yaml"), "--dry-run"]
        steps.append((dry_run, "what measuring this machine takes"))
    elif install := script_command("install_cpu_servers"):
        into = [] if is_checkout else ["--into", ".servers"]
        what = "real servers without a GPU, to measure this machine"
        steps.append(([*install, *into], what))
    if OWN_SPEC.exists():
        dry_run = [*run, str(OWN_SPEC), "--dry-run"]
        return [*steps, (dry_run, "your own GPU: what would be launched")]
    copy = ["cp", as_typed(specs / "gpu.yaml"), str(OWN_SPEC)]
    guide = "README says" if is_checkout else "its first lines say"
    return [*steps, (copy, f"your own GPU: three things to edit in it, as {guide}")]


def advice(
    failed: Sequence[tuple[Allocation, Diagnosis]],
    measurements: Sequence[tuple[Allocation, Measurement]],
    total_mib: float,
    occupants: Sequence[Occupant],
    engines: Sequence[Engine],
) -> list[str]:
    """Return the reason for each configuration, then what would have to change.

    What was not measured is not guessed.
    """
    lines = [f"{a}: {d.failure_class}: {d.evidence[:160]}" for a, d in failed]
    figures = memory_budget.figures(measurements, engines)
    if figures.non_kv_mib is not None and figures.one_request_mib is not None:
        least = (figures.non_kv_mib + figures.one_request_mib) / total_mib
        lines.append(f"the smallest share that starts is about {math.ceil(least * 100) / 100:.2f}")
    too_small = [(a, d) for a, d in failed if consequence_of(d.failure_class).breaks == "kv_cache"]
    if too_small and figures.non_kv_mib is None:
        shares = sorted({a.share for a, _ in too_small})
        short = [d.deficit_mib for _, d in too_small if d.deficit_mib]
        more = f", by at least {min(short) / total_mib:.2f}" if short else ""
        lines.append(
            f"shares {', '.join(f'{s:g}' for s in shares)} are too small for one request: "
            f"give more{more}"
        )
    longest = {
        a.share: s.kv_tokens for a, m in measurements for s in m.services.values() if s.kv_tokens
    }
    lines += [
        f"at share {s:g} the largest max_model_len is about {n:,}"
        for s, n in sorted(longest.items())
    ]
    short = [
        d.deficit_mib
        for _, d in failed
        if d.deficit_mib and consequence_of(d.failure_class).breaks == "memory"
    ]
    if short:
        held = sorted((o for o in occupants if o.mib), key=lambda o: -(o.mib or 0))[:3]
        who = "; ".join(
            f"{o.command[:50]} holds {o.mib:,.0f} MiB ({o.unit or f'process {o.pid}'})"
            for o in held
        )
        lines.append(
            f"freeing {min(short):,.0f} MiB would let the nearest one start"
            + (f": {who}" if who else "")
        )
    return lines
