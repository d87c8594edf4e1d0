"""This module gives the answer of a study as data: what `--json` ends with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study.report.headline import answer_lines, sentence, standing
from study.report.reasons import passed_over, why
from study.report.roles import failing
from study.report.summary import Summary

SCHEMA = 1  # raised where a key goes or means something else; new ones may come


def answer_data(summary: Summary, promotion: Path | None, steps: Sequence[str]) -> dict[str, Any]:
    """Return the answer that the screen says, with its reasons.

    `action` is `run`, `candidate`, `stay` or `none`, and `parameters` what it is about: what fresh
    launches rejected is only `best_of_study`.

    Args:
        summary: The study with its decision.
        promotion: The winner's file; None where there is none.
        steps: What to type next, a line each.
    """
    decision, context = summary.decision, summary.context
    action, values = _action(summary)
    best, confirmation = decision.winner, summary.confirmation
    today = failing(summary.today)
    return {
        "kind": "answer",
        "schema": SCHEMA,
        "study": summary.study,
        "action": action,
        "parameters": values,
        "sentence": sentence(summary),
        "standing": standing(summary),
        "is_replay": context.is_replay,
        "today": dict(context.baseline.values) if context.has_today else None,
        "today_fails": today or None,
        "best_of_study": best.to_json(f"{summary.study}/{best.number}") if best else None,
        "confirmation": confirmation.verdict.value if confirmation else None,
        "why": why(decision, context),
        "reasons": answer_lines(summary),
        "held_back": passed_over(decision),
        "promotion": str(promotion) if promotion else None,
        "next": [line.strip() for line in steps[1:]],
    }


def _action(summary: Summary) -> tuple[str, dict[str, Any] | None]:
    """Return what to do, and the parameters that it is about."""
    decision, context = summary.decision, summary.context
    today = dict(context.baseline.values)
    if summary.is_rejected:
        return ("stay", today) if decision.baseline is not None else ("none", None)
    if decision.winner is not None:
        is_run = summary.is_confirmed or bool(failing(summary.today))
        return "run" if is_run else "candidate", dict(decision.winner.allocation.values)
    return ("stay", today) if decision.standing(decision.baseline) else ("none", None)
