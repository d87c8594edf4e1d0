"""What a configuration is to the answer: the winner, held back, out; and what was held back, with why. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from study.analysis.configurations import Cell
from study.analysis.decision import Decision
from study.wording import short

NAMED = 3  # of what is held back for one reason; a promotion names all


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
