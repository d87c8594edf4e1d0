"""Two configurations figure by figure: today's, another one's, the difference and whether it is better. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy.special import stdtrit  # scipy.stats takes half a second to import, and every command comes by here

from study.cells import Cell, barred, of
from study.decision import Decision
from study.meanings import DIRECTIONS, FIGURES
from study.question import Question
from study.spec import Spec
from study.terminal import number

SAME_PCT = 1.0  # a smaller difference is called none


def rival(found: Sequence[Cell], decision: Decision, asked: Spec | Question) -> Cell | None:
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


def contrast(today: Cell, other: Cell) -> list[Compared]:
    """Every figure that people ask for, of both."""
    lines = []
    for name, (title, unit, digits) in FIGURES.items():
        old, new = today.figure(name), other.figure(name)
        texts = []
        for c, value in ((today, old), (other, new)):
            bound = "≥ " if name == "concurrent_capacity" and c.is_lower_bound else ""
            texts.append("not measured" if value is None else f"{bound}{number(value, digits)} {unit}".rstrip())
        noise = half_width(today.values(name), other.values(name))
        change, sense = _change(name, old, new, "points" if unit == "%" else unit, digits, noise)
        lines.append(Compared(title, texts[0], texts[1], change, sense))
    return lines


def half_width(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the difference of two means, by Welch; None where either has one value.

    >>> half_width([1.0, 1.0], [2.0, 2.0]), half_width([1.0], [2.0, 2.1])
    (0.0, None)
    """
    if min(len(a), len(b)) < 2 or not math.isfinite(sum(a) + sum(b)):
        return None
    squares = [variance(x, fmean(x)) / len(x) for x in (a, b)]
    if sum(squares) == 0:
        return 0.0
    spread = sum(s**2 / (len(x) - 1) for s, x in zip(squares, (a, b), strict=True))
    return float(stdtrit(sum(squares) ** 2 / spread, 0.975)) * math.sqrt(sum(squares))


def _change(
    name: str, old: float | None, new: float | None, unit: str, digits: int, noise: float | None
) -> tuple[str, str]:
    """The difference in words, and whether it is better or worse: "-500 ms (-20 %), better".

    noise: a difference up to this may be noise; None where there is one launch only, so that it is not known
    """
    if old is None or new is None or not math.isfinite(old + new):
        return "-", ""
    if new == old:
        return "none", ""
    said = f"{new - old:+,.{digits}f} {unit}".rstrip()
    pct = 100 * (new - old) / old if old else None
    if pct is not None and abs(pct) < SAME_PCT:
        return f"{said}, about equal", ""
    said += "" if pct is None else f" ({pct:+.0f} %)"
    if DIRECTIONS[name] == "neutral":
        return said, ""
    if noise is not None and abs(new - old) <= noise:
        return f"{said}, within noise", ""
    sense = "better" if (new < old) == (DIRECTIONS[name] == "down") else "worse"
    return f"{said}, {sense}{', noise unknown' * (noise is None)}", sense
