"""Where nothing works, each reason is named with its proof, and the nearest change that would."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.diagnosis.diagnosis import Diagnosis, consequence_of
from objectives.engines.engine import Engine
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from study.analysis.configurations import Configuration
from study.report.reasons import over
from study.text import cut
from study.wording.allocations import short
from study.wording.failures import FAILURES

REASONS = 2  # that are told; the report has all


def failures(launched: Sequence[Configuration], today: Allocation) -> list[str]:
    """Say for each reason what it ruled out, with one line of a server's log; of many the first.

    A configuration that went over a limit has no such line.

    Args:
        launched: All that was launched.
        today: What is in use: of another one, only what differs is named.
    """
    names: dict[str, list[str]] = {}
    evidence: dict[str, str] = {}
    for c in (c for c in launched if not c.is_feasible):
        diagnoses = [t.diagnosis for t in c.failed if t.diagnosis is not None]
        if not diagnoses:
            reason = ", ".join(over(c.measured)) or "it failed"
            names.setdefault(f"over a limit, {reason}" if c.measured else reason, []).append(
                short(c.allocation, today)
            )
            continue
        d = diagnoses[0]
        reason = f"{FAILURES.get(d.failure_class, ('', d.failure_class))[1]} ({d.failure_class})"
        deficit = f" ({d.deficit_mib:,.0f} MiB short)" if d.deficit_mib else ""
        names.setdefault(reason, []).append(f"{short(c.allocation, today)}{deficit}")
        evidence.setdefault(reason, re.sub(r"^.*?(?=\w+Error: )", "", d.evidence.strip(), count=1))
    lines = []
    for reason, which in list(names.items())[:REASONS]:
        line = cut(evidence.get(reason, ""))
        lines.append(f"{_and_more(which)}: {reason}{f'. Its log: {line}' if line else ''}")
    if len(names) > REASONS:
        lines.append(f"{len(names) - REASONS} more reasons, see the report")
    return lines


def _and_more(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def advice(
    failed: Sequence[tuple[Allocation, Diagnosis]],
    measurements: Sequence[tuple[Allocation, Measurement]],
    total_mib: float,
    occupants: Sequence[Occupant],
    engines: Sequence[Engine],
) -> list[str]:
    """Return what would have to change, a line each; what was not measured is not guessed.

    Args:
        failed: What was launched and failed.
        measurements: What was measured all the same.
        total_mib: The memory of the device.
        occupants: What else was on it.
        engines: The engines of the study.
    """
    lines = []
    least_mib = [
        starts.non_kv_mib + starts.one_request_mib
        for allocation, _ in measurements
        if (starts := memory_budget.figures(allocation, measurements, engines)).non_kv_mib
        and starts.one_request_mib
    ]
    if least_mib:
        least = math.ceil(min(least_mib) / total_mib * 100) / 100
        lines.append(f"the smallest share that starts is about {least:.2f}")
    too_small = [(a, d) for a, d in failed if consequence_of(d.failure_class).breaks == "kv_cache"]
    sharing = [None, *(e.name for e in engines if e.has_share)]  # another's is its own option
    too_small = [(a, d) for a, d in too_small if a.has_share and d.victim in sharing]
    if too_small and not least_mib:
        shares = sorted({a.share for a, _ in too_small})
        short = [d.deficit_mib for _, d in too_small if d.deficit_mib]
        more = f", by at least {min(short) / total_mib:.2f}" if short else ""
        lines.append(
            f"shares {', '.join(f'{s:g}' for s in shares)} are too small for one request: "
            f"give more{more}"
        )
    longest = {
        a.share: s.kv_tokens
        for a, m in measurements
        for s in m.services.values()
        if s.kv_tokens and a.has_share
    }
    if longest:
        share, tokens = max(longest.items(), key=lambda item: item[1])
        lines.append(f"at share {share:g} the largest max_model_len is about {tokens:,}")
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
