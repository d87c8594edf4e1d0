"""Say which configurations are ruled out, by reason, with the proof."""

from __future__ import annotations

import re
from collections.abc import Sequence

from study.analysis.configurations import Configuration
from study.report.reasons import over
from study.wording import FAILURES, short

EVIDENCE = 160  # characters of a log's line


def ruled_out(launched: Sequence[Configuration]) -> list[str]:
    """Say what is ruled out, by reason, with one line of a server's log for each."""
    reasons: dict[str, list[str]] = {}
    evidence: dict[str, str] = {}
    bad = [c for c in launched if not c.is_feasible and not c.is_given_up]
    for c in bad:
        for t in c.failed[:1]:
            if (d := t.diagnosis) is None:
                reasons.setdefault(t.state, []).append(short(c.allocation))
                continue
            why = f"{FAILURES.get(d.failure_class, ('', d.failure_class))[1]} ({d.failure_class})"
            deficit = f" ({d.deficit_mib:,.0f} MiB short)" if d.deficit_mib else ""
            reasons.setdefault(why, []).append(f"{short(c.allocation)}{deficit}")
            evidence.setdefault(why, re.sub(r"^.*?(?=\w+Error: )", "", d.evidence.strip()))
        if not c.failed:
            limits = ", ".join(over(c.measured))
            reasons.setdefault(f"over a limit: {limits}", []).append(short(c.allocation))
    lines = [f"{len(bad)} of {len(launched)} configurations are ruled out:"] if bad else []
    for why, which in reasons.items():
        lines.append(f"  {why}: {'; '.join(which)}")
        if line := evidence.get(why, ""):
            cut = f"{line[:EVIDENCE]}{'...' if len(line) > EVIDENCE else ''}"
            lines.append(f"    by its log: {cut}")
    if names := [short(c.allocation) for c in launched if c.is_given_up]:
        lines.append(f"{len(names)} given up early, which could not win: {'; '.join(names)}")
    return lines
