"""Two configurations figure by figure: today's, another one's, the difference and whether it is better. Pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from statistics import fmean, variance

from scipy.special import stdtrit  # scipy.stats takes half a second to import, and every command comes by here

from objectives.figures import DIRECTIONS, FIGURES
from study.cells import Cell, barred, of
from study.decision import Decision
from study.pooled import pooled
from study.spec.model import Spec
from study.storage.context import Question
from study.wording import number

SAME_PCT = 1.0  # a smaller difference is called none
FITNESS, SESSIONS = "fitness", "concurrent_capacity"
LEAST_POOLED = 4  # degrees of freedom: with fewer, what was launched again elsewhere says little of the noise here
FEW = 4  # launches: with fewer, their own spread says less of their noise than that of all that was launched again


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


def contrast(today: Cell, other: Cell, found: Sequence[Cell], without: Collection[str] = ()) -> list[Compared]:
    """Every figure that people ask for, of both; found: all that was measured, whose repeats tell the noise too."""
    lines = []
    for name, (title, unit, digits) in FIGURES.items():
        if name in without:
            continue
        old, new = today.figure(name), other.figure(name)
        texts = []
        for c, value in ((today, old), (other, new)):
            bound = "≥ " if name == SESSIONS and c.is_lower_bound else ""
            texts.append("not measured" if value is None else f"{bound}{number(value, digits)} {unit}".rstrip())
        if name == SESSIONS and old is not None and new is not None and not bounds_tell(today, other):
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


def noise_of(name: str, today: Cell, other: Cell, found: Sequence[Cell]) -> float | None:
    """Up to which difference of a figure of `Measurement`, or of the fitness, noise could explain it; None: not known.

    found: all that was measured: where one of the two was launched a few times only, the repeats of all that works
        tell the noise, if there are enough of them
    """
    a, b = _figures(name, today), _figures(name, other)
    if not (a and b and math.isfinite(sum(a) + sum(b))):
        return None
    known = [_figures(name, c) for c in found if c.is_feasible and not (name == SESSIONS and c.is_lower_bound)]
    pooled = None
    if min(len(a), len(b)) < FEW:
        pooled = pooled_half_width(a, b, known, is_time=name.endswith("_ms"))
    return pooled if pooled is not None or min(len(a), len(b)) < 2 else half_width(a, b)


def is_noise(name: str, today: Cell, other: Cell, found: Sequence[Cell]) -> bool | None:
    """Whether noise alone could explain the difference in a figure, see `noise_of`; None where that is not known."""
    half = noise_of(name, today, other, found)
    return None if half is None else abs(fmean(_figures(name, other)) - fmean(_figures(name, today))) <= half


def _figures(name: str, c: Cell) -> list[float]:
    return c.scores if name == FITNESS else c.values(name)


def half_width(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Half of the 95 % interval of the difference of two means of two values or more, by Welch.

    None where all agree to the digit: that tells how a figure was rounded, not how it varies.

    >>> half_width([1.0, 1.0], [2.0, 2.0]), round(half_width([1.0, 1.2], [2.0, 2.2]), 3)
    (None, 0.608)
    """
    squares = [variance(x, fmean(x)) / len(x) for x in (a, b)]
    if sum(squares) == 0:
        return None
    spread = sum(s**2 / (len(x) - 1) for s, x in zip(squares, (a, b), strict=True))
    return float(stdtrit(sum(squares) ** 2 / spread, 0.975)) * math.sqrt(sum(squares))


def pooled_half_width(
    a: Sequence[float], b: Sequence[float], everything: Sequence[Sequence[float]], *, is_time: bool
) -> float | None:
    """The same by the noise of everything that was launched again; None where too little was, or all of it agrees.

    It takes one standard deviation for all; of a time, for all of it relative to its mean, as far as a mean goes.

    >>> again = [[9.0, 11.0], [19.0, 21.0], [29.0, 31.0], [39.0, 41.0]]
    >>> round(pooled_half_width([10.0], [20.0], again, is_time=False), 2)  # 2.776 x sqrt(2) x sqrt(1 + 1)
    5.55
    >>> pooled_half_width([10.0], [20.0], again[:3], is_time=False)
    """
    known = [of for of in everything if len(of) > 1 and math.isfinite(sum(of))]
    if is_time:
        known = [[x / fmean(of) for x in of] for of in known if fmean(of) > 0]
    spread, freedom = pooled(known)
    if freedom < LEAST_POOLED or spread == 0:
        return None
    one = sum((fmean(x) ** 2 if is_time else 1.0) / len(x) for x in (a, b))
    return float(stdtrit(freedom, 0.975)) * math.sqrt(spread * one)


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
    if DIRECTIONS[name] == "neutral":
        return said, ""
    if noise is not None and abs(new - old) <= noise:
        return f"{said}, within noise", ""
    sense = "better" if (new < old) == (DIRECTIONS[name] == "down") else "worse"
    return f"{said}, {sense}{', noise unknown' * (noise is None)}", sense
