"""A study runs under systemd's quotas by a unit and a timer, filled in from its spec."""

from __future__ import annotations

import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import psutil

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.service_pause.containers import ContainerState
from study.service_pause.options import Lending
from study.service_pause.restore_promise import word
from study.spec.model import Spec
from study.systemd.manager import UnitState
from study.systemd.systemctl import parse_show, span_s

NAME = "gpu-allocation-study"
RUNTIME_MARGIN_S = 900.0  # above the budget: starts of units, the end of a last trial
HOST_SHARE = 0.9  # of the host's memory, where the deployed units have no limit
STUDY_MIB = 4096  # what the study itself may take beside the servers
CALENDAR = re.compile(r"[A-Za-z0-9 *,:./~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Quotas:
    """The quotas hold for the study and its servers together.

    Args:
        runtime_max_s: The longest run, s.
        cpu_pct: CPU time in percent, 100 a core.
        memory_max_mib: Memory of the host, MiB.
    """

    runtime_max_s: int
    cpu_pct: int
    memory_max_mib: int


def quotas(run_s: float, states: Sequence[UnitState | ContainerState]) -> Quotas:
    """Return quotas above a run's longest time, and not below the deployed units together."""
    cpus, memories = [], []
    for s in states:
        if isinstance(s, ContainerState):  # what it may use, its engine says, not systemd
            continue
        output = s.manager.systemctl(
            "show", "--property=CPUQuotaPerSecUSec", "--property=MemoryMax", "--", s.unit
        )
        properties = parse_show(output)
        cpus_worth = span_s(properties.get("CPUQuotaPerSecUSec", ""))
        cpus.append(cpus_worth if math.isfinite(cpus_worth) else 0.0)
        memories.append(
            int(properties["MemoryMax"]) / 2**20
            if properties.get("MemoryMax", "").isdigit()
            else 0.0
        )
    host_mib = psutil.virtual_memory().total / 2**20
    return Quotas(
        runtime_max_s=round(run_s + RUNTIME_MARGIN_S),
        cpu_pct=round(100 * max(os.cpu_count() or 1, sum(cpus))),
        memory_max_mib=round(max(HOST_SHARE * host_mib, sum(memories) + STUDY_MIB)),
    )


def schedule(spec: Spec, lending: Lending, calendar: str, out: Path, script: Path) -> list[Path]:
    """Write both files into a folder; nothing is installed.

    Args:
        calendar: As in `OnCalendar=`.
        script: The absolute path of run_study.py.

    Raises:
        BadInput: The calendar is none, or a unit cannot be lent.
        SetupError: No systemd runs.
    """
    if not CALENDAR.fullmatch(calendar):
        raise BadInput(
            f"--on-calendar {calendar!r} is no time of systemd's; write such as 'Sun 03:00'"
        )
    run_s = max(spec.budget.wallclock_sec, lending.max_outage_s or 0.0)
    limits = quotas(run_s, lending.states())
    argv = [sys.executable, str(script), str(spec.path), "--quiet"]
    for unit in lending.units:
        argv += ["--lend-from", unit]
    if lending.max_outage_s is not None:
        argv += ["--max-outage", f"{lending.max_outage_s:g}s"]
    values = {
        "SPEC_NAME": spec.name,
        "FOLDER": str(script.parents[1]).replace("%", "%%"),
        "COMMAND": " ".join(map(word, argv)),
        "RUNTIME_MAX_S": str(limits.runtime_max_s),
        "CPU_QUOTA_PCT": str(limits.cpu_pct),
        "MEMORY_MAX_MIB": str(limits.memory_max_mib),
        "CALENDAR": calendar,
    }
    paths = []
    out.mkdir(parents=True, exist_ok=True)
    for kind in ("service", "timer"):
        text = (files("study") / "systemd" / f"{NAME}.{kind}").read_text("utf-8")
        path = out / f"{NAME}.{kind}"
        write_atomic(path, re.sub("@([A-Z_]+)@", lambda m: values[m[1]], text))
        paths.append(path)
    return paths
