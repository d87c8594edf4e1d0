"""Says what to type next, and where nothing works the nearest change that would."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.diagnosis.diagnose import Diagnosis, consequence_of
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from study.promotion import seal
from study.storage.find import DEFAULT
from study.storage.url import sqlite_file, without_password


def next_commands(
    storage: str, study: str, promotion: Path | None, *, is_replay: bool
) -> list[str]:
    """Return what to type next, each with what it does.

    Args:
        promotion: the winner's file, if there is one
    """
    file = sqlite_file(storage)
    place = [without_password(storage) if file is None else str(file)] if file != DEFAULT else []
    lines = [
        (["scripts/report.py", *place, "--study", study], "the whole answer as one file to send"),
        (["scripts/dashboard.py", *place], "look at every trial in the browser"),
    ]
    match (
        seal.read(promotion).get("status")
        if promotion is not None and promotion.is_file()
        else None
    ):
        case "candidate" | "inconclusive":
            what = "is it really better? fresh launches of both, in turn"
            lines.append((["scripts/confirm.py", str(promotion)], what))
        case "confirmed":
            lines.append(
                (["scripts/promote.py", "plan", str(promotion)], "what applying it would change")
            )
    if is_replay:
        if Path(".servers/vllm").is_dir():
            words, what = (
                ["scripts/run_study.py", "study/specs/cpu.yaml", "--dry-run"],
                "what measuring this machine takes",
            )
        else:
            words, what = (
                ["scripts/install_cpu_servers.py"],
                "real servers without a GPU, to measure this machine",
            )
        lines.append((words, what))
    own, what = "cp study/specs/gpu.yaml my_gpu.yaml", "three things to edit in it, as README says"
    if Path("my_gpu.yaml").exists():
        own = "python scripts/run_study.py my_gpu.yaml --dry-run"
        what = "what would be launched"
    return [
        "Next:",
        *(f"  python {shlex.join(words)}    # {what}" for words, what in lines),
        *[f"  {own}    # your own GPU: {what}"] * is_replay,
    ]


def advice(
    failed: Sequence[tuple[Allocation, Diagnosis]],
    measurements: Sequence[tuple[Allocation, Measurement]],
    total_mib: float,
    occupants: Sequence[Occupant],
) -> list[str]:
    """Return the reason for each configuration, then what would have to change.

    What was not measured is not guessed.
    """
    lines = [f"{a}: {d.failure_class}: {d.evidence[:160]}" for a, d in failed]
    figures = memory_budget.figures(measurements)
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
    longest = {a.share: tokens for a, m in measurements if (tokens := m.figure("llm_kv_tokens"))}
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
