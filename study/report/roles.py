"""Say what a winner is held against, and how what is in use today fails. Pure."""

from __future__ import annotations

from objectives.diagnosis.log import FailurePhase
from study.analysis.configurations import Configuration
from study.analysis.promotion_eligibility import broken_limits
from study.report.summary import Summary
from study.wording.failures import CONSTRAINTS


def failing(today: Configuration | None) -> str:
    """Say how what is in use today fails; empty where it works, or others disturbed it.

    A launch that ends before its servers are ready says that it does not start.
    """
    if today is None or today.is_feasible:
        return ""
    if today.measured:
        count, failed = len(today.measured) + len(today.failed), len(today.failed)
        over = ", ".join(CONSTRAINTS.get(n, n) for n in broken_limits(today.measured))
        return f"is over a limit: {over}" if over else f"failed in {failed} of {count} launches"
    if not today.fails:
        return ""
    diagnoses = [t.diagnosis for t in today.failed if t.diagnosis is not None]
    is_loaded = any(d.phase is FailurePhase.LOAD for d in diagnoses)
    return "fails under load" if is_loaded else "does not start"


def held_against(summary: Summary) -> str:
    """Return the role of what the winner is compared with, as the head of a column."""
    found = summary.decision.reference
    if summary.decision.baseline is not None or found is None:
        return "in use today"
    return "tried first" if found.allocation == summary.context.baseline else "worked first"


def in_a_clause(summary: Summary) -> str:
    """Return that role as a clause ends: "what was tried first"."""
    return {"tried first": "was tried first"}.get(role := held_against(summary), role)
