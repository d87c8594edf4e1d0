"""What a configuration is to the answer: the winner, held back, out; and what was held back, with why. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from study.cells import Cell, barred
from study.decision import Decision
from study.storage.context import Question
from study.wording import short

WINNER, BASELINE, HELD_BACK, FEASIBLE = "winner", "in use today", "held back", "works"
OVER, FAILED = "over a limit", "does not work"
KINDS = (WINNER, BASELINE, HELD_BACK, FEASIBLE, OVER, FAILED)
NAMED = 3  # of what is held back for one reason; a promotion names all


def kind(cell: Cell, decision: Decision, asked: Question) -> str:
    """What a configuration is to the answer."""
    if is_winner(cell, decision):
        return WINNER
    if not cell.measured:
        return FAILED
    if not cell.is_feasible:
        return OVER
    if decision.baseline is not None and str(cell.allocation) == str(decision.baseline.allocation):
        return BASELINE
    return HELD_BACK if obstacle(cell, decision, asked) else FEASIBLE


def is_winner(cell: Cell, decision: Decision) -> bool:
    """Whether the decision is for this configuration."""
    return decision.winner is not None and str(cell.allocation) == str(decision.winner.allocation)


def obstacle(cell: Cell, decision: Decision, asked: Question) -> str | None:
    """Why a configuration that works may not be chosen; None where nothing stands against it."""
    return decision.against(cell.allocation) or barred(cell, asked)


def held_back(found: Sequence[Cell], decision: Decision) -> list[str]:
    """What scored better than the answer and may not be promoted, a sentence for each reason.

    Best first by the smoothed mean, which is what decides and is shown; of many the first are named, with what of
    them is not as today.
    """
    reasons: dict[str, list[tuple[Cell, float]]] = {}
    for s in decision.standings:
        for c in (c for c in found if dict(c.allocation.values) == s.params):
            if why := decision.against(c.allocation):
                reasons.setdefault(why.partition("; about ")[0], []).append((c, s.mean))
    said, today = [], decision.baseline.allocation if decision.baseline else None
    for why, which in reasons.items():
        names = [f"{short(c.allocation, today)} (smoothed {mean:.4f})" for c, mean in which[:NAMED]]
        names += [f"{len(which) - len(names)} more"] if len(which) > len(names) else []
        said.append(f"{'; '.join(names)}: {why}{_audio([c for c, _ in which])}")
    return said


def _audio(which: Sequence[Cell]) -> str:
    """How many minutes of clips more would tell whether their words are as good."""
    wanted = sorted({f"{r.minutes_more_audio:.0f}" for c in which for r in c.measured if r.minutes_more_audio}, key=int)
    if not wanted:
        return ""
    return f"; about {' to '.join(dict.fromkeys((wanted[0], wanted[-1])))} more minutes of audio would decide"
