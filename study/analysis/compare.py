"""Two configurations figure by figure: today's, another one's, the difference and whether it is better. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from objectives.figures import FIGURES, SHOWN, Direction
from study.analysis.configurations import Cell, of
from study.analysis.decision import Decision
from study.analysis.eligibility import barred
from study.analysis.noise import SESSIONS, noise_of
from study.spec.model import Spec
from study.storage.context import StudyContext
from study.wording import number

SAME_PCT = 1.0  # a smaller difference is called none


def rival(found: Sequence[Cell], decision: Decision, asked: Spec | StudyContext) -> Cell | None:
    """The winner; where the baseline stays, what came closest to it, held back or not."""
    if decision.winner is not None:
        return of(decision.winner.allocation, found)
    today = of(asked.baseline, found)
    known = [c for c in found if c.is_feasible and c is not today]
    return max(known, key=lambda c: (barred(c, asked) is None, c.fitness or 0.0), default=None)


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of two configurations, as text; sense: better, worse, or empty."""

    title: str
    old: str
    new: str
    change: str
    sense: str


def contrast(
    today: Cell, other: Cell, found: Sequence[Cell], without: Collection[str] = ()
) -> list[Compared]:
    """Every figure that people ask for, of both; found: all that was measured, whose repeats tell the noise too."""
    lines = []
    for name, f in SHOWN.items():
        title, unit, digits = f.title, f.unit, f.digits
        if name in without:
            continue
        old, new = today.figure(name), other.figure(name)
        texts = []
        for c, value in ((today, old), (other, new)):
            bound = "≥ " if name == SESSIONS and c.is_lower_bound else ""
            texts.append(
                "not measured"
                if value is None
                else f"{bound}{number(value, digits)} {unit}".rstrip()
            )
        if (
            name == SESSIONS
            and old is not None
            and new is not None
            and not bounds_tell(today, other)
        ):
            lines.append(Compared(title, texts[0], texts[1], "not known: ≥ is a lower bound", ""))
            continue
        noise = noise_of(name, today, other, found)
        change, sense = _change(name, old, new, "points" if unit == "%" else unit, digits, noise)
        lines.append(Compared(title, texts[0], texts[1], change, sense))
    return lines


def bounds_tell(today: Cell, other: Cell) -> bool:
    """Whether the capacities say which is more: a lower bound can only be more than what is less than it."""
    old, new = today.figure(SESSIONS), other.figure(SESSIONS)
    if old is None or new is None:
        return True
    return not ((today.is_lower_bound and new >= old) or (other.is_lower_bound and new <= old))


def _change(
    name: str, old: float | None, new: float | None, unit: str, digits: int, noise: float | None
) -> tuple[str, str]:
    """The difference in words, and whether it is better or worse: "-500 ms (-20 %), better".

    noise: a difference up to this may be noise; None where too little was launched again, so that it is not known
    """
    if old is None or new is None or not math.isfinite(old + new):
        return "-", ""
    if new == old:
        return "none", ""
    said = f"{new - old:+,.{digits}f} {unit}".rstrip()
    pct = 100 * (new - old) / old if old else None
    if pct is not None and abs(pct) < SAME_PCT:
        return f"{said}, about equal" if round(new - old, digits) else "about equal", ""
    said += "" if pct is None else f" ({pct:+.0f} %)"
    if (direction := FIGURES[name].direction) is Direction.NEUTRAL:
        return said, ""
    if noise is not None and abs(new - old) <= noise:
        return f"{said}, within noise", ""
    sense = "better" if (new < old) == (direction is Direction.DOWN) else "worse"
    return f"{said}, {sense}{', noise unknown' * (noise is None)}", sense
