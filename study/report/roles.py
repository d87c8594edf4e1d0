"""This module says what a winner is held against, and how what is in use today fails; pure."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class ComparisonRole:
    """A role says what a winner is held against.

    Args:
        head: It heads a column.
        short: It stands in a table's head beside other words.
        clause: It ends a clause: "what was tried first".
    """

    head: str
    short: str
    clause: str


IN_USE = ComparisonRole("in use today", "today", "in use today")
TRIED_FIRST = ComparisonRole("tried first", "tried first", "was tried first")
WORKED_FIRST = ComparisonRole("worked first", "worked first", "worked first")


def held_against(summary: Summary) -> ComparisonRole:
    """Return the role of what the winner is compared with."""
    reference = summary.decision.reference
    if summary.decision.baseline is not None or reference is None:
        return IN_USE
    is_first = reference.allocation == summary.context.baseline
    return TRIED_FIRST if is_first else WORKED_FIRST
