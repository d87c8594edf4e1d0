"""This module says what to type next."""

from __future__ import annotations

import shlex
from importlib.resources import files
from pathlib import Path

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
    steps: list[NextStep] = []
    if promotion is not None and promotion.is_file():
        steps += _of_promotion(promotion)
    report = [*script_command("report"), *place, "--study", study]
    steps.append((report, "everything else, as one page"))
    if is_replay:
        steps += _of_own_devices()
    return ["Next:", *(f"  {shlex.join(words)}    # {what}" for words, what in steps)]


def _of_promotion(promotion: Path) -> list[NextStep]:
    """Return how a promotion becomes confirmed, and then applied."""
    data = seal.read_unsealed(promotion)
    match status_of(data) if is_current(data) else None:
        case Status.CANDIDATE | Status.INCONCLUSIVE:
            what = "is it really better? fresh launches tell"
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
        what = "measure this machine, without a GPU"
        steps.append(([*install, *into], what))
    if OWN_SPEC.exists():
        dry_run = [*run, str(OWN_SPEC), "--dry-run"]
        return [*steps, (dry_run, "your own GPU: what it takes")]
    copy = ["cp", as_typed(specs / "gpu.yaml"), str(OWN_SPEC)]
    return [*steps, (copy, "your own GPU: edit it, as its first lines say")]
