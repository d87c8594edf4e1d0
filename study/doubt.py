"""What speaks against a difference in fitness: noise, sessions that were not counted to the end, other cards. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from study.analysis.compare import bounds_tell
from study.analysis.configurations import Cell, launches
from study.analysis.noise import FITNESS, noise_of
from study.wording import short


def doubt(today: Cell | None, other: Cell | None, found: Sequence[Cell]) -> list[str]:
    """Whether noise alone could explain the difference, and what else is in it; nothing where there are no two."""
    if not today or not other or today.fitness is None or other.fitness is None:
        return []
    gap = other.fitness - today.fitness
    named = short(other.allocation, today.allocation)
    named += " (what is not named is as today)" if short(other.allocation) != named else ""
    scores = f"{named} scores {other.fitness:.4f} and today's {today.fitness:.4f}"
    counts = f"({launches(other)}; today's: {launches(today)})"
    more = f"{_sessions(today, other)}{_cards(today, other)}"
    if (half := noise_of(FITNESS, today, other, found)) is None:
        return [f"{scores} {counts}. How much of the difference of {gap:+.4f} is noise was not measured.{more}"]
    verdict = "noise alone could explain it" if abs(gap) <= half else "more than noise explains"
    verdict += _chosen(found) if gap > half else ""
    between = f"95 % interval {gap - half:+.4f} to {gap + half:+.4f}"
    if min(len(today.scores), len(other.scores)) < 2:
        scores += f" {counts}"
    return [f"{scores}: a difference of {gap:+.4f}, {between}: {verdict}.{more}"]


def _chosen(found: Sequence[Cell]) -> str:
    """The best of several equal ones looks better than it is: an interval does not know that it was chosen."""
    works = sum(c.is_feasible for c in found)
    return "" if works < 3 else f"; but it is the best of {works}, and the best of several looks better than it is"


def _sessions(today: Cell, other: Cell) -> str:
    old, new = (_capacity_term(c) for c in (today, other))
    if old is None or new is None or new == old or bounds_tell(today, other):
        return ""
    return f" {new - old:+.4f} of it comes from voice sessions, where a lower bound leaves open which has more."


def _capacity_term(c: Cell) -> float | None:
    known = [v for r in c.measured if (v := r.contributions.get("capacity")) is not None]
    return fmean(known) if known else None


def _cards(today: Cell, other: Cell) -> str:
    old, new = ({r.measurement.measured_on for r in c.measured if r.measurement} - {None} for c in (today, other))
    if not old or not new or old == new:
        return ""
    counts = "" if len(old) == len(new) else f" (today's on {len(old)}, the other on {len(new)})"
    return f" The two were not measured on the same cards{counts}; how the cards differ is in it."
