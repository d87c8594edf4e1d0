"""This module compares today's configuration with another one in a table of text; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from objectives.figures import Figure, figure
from study.analysis.category import Category
from study.analysis.compare import Difference, FigureVerdict
from study.report.analysis_words import CATEGORY_WORDS
from study.report.roles import IN_USE, ComparisonRole, held_against
from study.report.summary import Summary
from study.wording.failures import NO_GOOD_RATE

VERDICT_WORDS = {
    FigureVerdict.BOUND: "not known: ≥ is a lower bound",
    FigureVerdict.NOT_MEASURED: "-",
    FigureVerdict.EQUAL: "none",
}


@dataclass(frozen=True, slots=True)
class ComparedFigure:
    """A row of the table holds one figure of both configurations as text.

    Args:
        title: The figure's name for people.
        old: Today's, with its unit.
        new: The other's, with its unit.
        change: The difference in words.
        sense: Better, worse, or empty.
    """

    title: str
    old: str
    new: str
    change: str
    sense: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison sets today's configuration against the winner, or what came closest to it.

    Args:
        title: What is compared.
        held_against: What the first configuration is: in use today, or else.
        role: What the other configuration is.
        figures: A row for each figure; empty where either was never launched.
    """

    title: str
    held_against: ComparisonRole
    role: str
    figures: Sequence[ComparedFigure]

    @property
    def is_with_today(self) -> bool:
        """Return whether the first configuration is what is in use today."""
        return self.held_against is IN_USE


def against_today(summary: Summary) -> Comparison:
    """Compare today's configuration, or what stands for it, with the summary's other one."""
    decision, other = summary.decision, summary.other
    is_ineligible = other is not None and decision.against(other.allocation) is not None
    role = CATEGORY_WORDS[Category.INELIGIBLE] if is_ineligible else "not better"
    name = "what came closest"
    if decision.winner is not None:
        role, name = CATEGORY_WORDS[Category.WINNER], "the winner"
    measured_in = ", in the study" if summary.confirmation is not None else ""
    first = held_against(summary)
    title = "Today's" if decision.baseline is not None else f"What {first.clause}"
    figures = comparison(summary.differences)
    return Comparison(f"{title} against {name}{measured_in}", first, role, figures)


def comparison(differences: Iterable[Difference]) -> list[ComparedFigure]:
    """Return a row for each figure that was compared, in their order."""
    return [_as_text(d) for d in differences]


def _as_text(d: Difference) -> ComparedFigure:
    """Write one difference as text, both figures with their units."""
    f = figure(d.name)
    old = _value(f, d.old, is_bound=d.old_is_bound, has_no_rate=d.old_has_no_rate)
    new = _value(f, d.new, is_bound=d.new_is_bound, has_no_rate=d.new_has_no_rate)
    sense = d.verdict if d.verdict in (FigureVerdict.BETTER, FigureVerdict.WORSE) else ""
    return ComparedFigure(f.title, old, new, change(d), sense)


def _value(f: Figure, value: float | None, *, is_bound: bool, has_no_rate: bool) -> str:
    if value is None:
        return NO_GOOD_RATE if has_no_rate else "not measured"
    return f"{'≥ ' * is_bound}{f.text(value)} {f.unit}".rstrip()


def change(d: Difference, *, is_judged: bool = True) -> str:
    """Say how much less or more it is, and whether that is better.

    An example is "500 ± 90 ms less (20 %), better". It has no sign: a gain has one, and is positive
    where it is better. Behind ± stands half of the 95 % interval, of launches and segments.

    Args:
        d: The figure of both.
        is_judged: Whether to say which of the two it is, and where the noise is unknown.
    """
    if (fixed := VERDICT_WORDS.get(d.verdict)) is not None or d.old is None or d.new is None:
        return fixed or "-"
    f = figure(d.name)
    digits, unit = f.digits, "points" if f.unit == "%" else f.unit
    amount, way = f"{abs(d.new - d.old):,.{digits}f}", "less" if d.new < d.old else "more"
    if d.verdict is FigureVerdict.ABOUT_EQUAL:
        text = " ".join(filter(None, (amount, unit, way)))
        return f"{text}, about equal" if round(d.new - d.old, digits) else "about equal"
    if d.noise is not None:
        amount += f" ± {d.noise:,.{digits}f}"
    amount = " ".join(filter(None, (amount, unit, way)))
    amount += "" if d.pct is None else f" ({abs(d.pct):.0f} %)"
    if d.verdict is FigureVerdict.NEUTRAL:
        return amount
    if d.verdict is FigureVerdict.WITHIN_NOISE:
        return f"{amount}, within noise"
    return f"{amount}, {d.verdict}{', noise unknown' * (d.noise is None)}" if is_judged else amount
