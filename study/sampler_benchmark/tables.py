"""This module lays out estimates as tables for a terminal, Markdown or a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from study.sampler_benchmark.ask_time import AskTime
from study.sampler_benchmark.figures import FIGURES
from study.sampler_benchmark.statistics import FigureEstimate

VERDICT_MARKS = {"tie": "=", "better": "<", "worse": ">", None: ""}
LEGEND = "= tied with the tournament, < fewer than it, > more"


@dataclass(frozen=True, slots=True)
class Table:
    """A table has a title, a head and rows of text.

    Args:
        title: Its title.
        head: The names of the columns.
        rows: The text of each row.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return the table in Markdown.

        >>> print(Table("T", ("a", "b"), (("1", "2"),)).markdown())
        **T**
        <BLANKLINE>
        | a | b |
        |---|---|
        | 1 | 2 |
        """
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        rows = ["| " + " | ".join(cells) + " |" for cells in lines]
        rows[1] = rows[1].replace(" ", "")
        return "\n".join([f"**{self.title}**", "", *rows])

    def _repr_markdown_(self) -> str:
        """Return what Jupyter shows."""
        return self.markdown()


def by_problem(estimates: Sequence[FigureEstimate]) -> list[Table]:
    """Return a table for each problem and batch size.

    It has a row for each sampler and a column for each figure, with intervals.
    """
    tables = []
    for problem, batch in dict.fromkeys((e.problem, e.batch) for e in estimates):
        here = {
            (e.sampler, e.figure): e for e in estimates if (e.problem, e.batch) == (problem, batch)
        }
        known = {figure for _, figure in here}
        columns = [name for name, f in FIGURES.items() if f.column and name in known]
        samplers = sorted(
            dict.fromkeys(s for s, _ in here), key=lambda s: here[s, "trials_to_target"].value
        )
        rows = [
            (s, str(here[s, "trials_to_target"].n), *(_cell(here.get((s, f))) for f in columns))
            for s in samplers
        ]
        title = f"{problem}, {batch} at a time"
        tables.append(
            Table(title, ("sampler", "n", *(FIGURES[f].column for f in columns)), tuple(rows))
        )
    return tables


def target_table(estimates: Sequence[FigureEstimate], batch: int) -> Table:
    """Return mean trials to the target: a row for each problem, a column for each sampler."""
    chosen = [e for e in estimates if e.figure == "trials_to_target" and e.batch == batch]
    samplers = tuple(dict.fromkeys(e.sampler for e in chosen))
    at = {(e.problem, e.sampler): e for e in chosen}
    rows = tuple(
        (
            p,
            *(
                f"{at[p, s].value:.1f}{VERDICT_MARKS[at[p, s].verdict]}" if (p, s) in at else "-"
                for s in samplers
            ),
        )
        for p in dict.fromkeys(e.problem for e in chosen)
    )
    return Table(
        f"Mean trials to the target, {batch} at a time ({LEGEND})", ("problem", *samplers), rows
    )


def speeds(estimates: Iterable[FigureEstimate]) -> Table:
    """Return the tournament's trials as a multiple of each rival's."""
    rows = tuple(
        (
            e.problem,
            str(e.batch),
            e.figure.removeprefix("trials_x_"),
            str(e.n),
            f"{e.value:.2f}",
            _span(e, 1, 2),
        )
        for e in estimates
    )
    head = ("problem", "batch", "rival", "pairs", "x its trials", "95 % interval")
    return Table("Trials of the tournament / trials of a rival, on common seeds", head, rows)


def asking(asks: Sequence[AskTime]) -> Table:
    """Return ms for an ask: a row for each sampler, a column for each storage and size."""
    columns = tuple(dict.fromkeys((t.storage, t.trials, t.pending) for t in asks))
    at = {(t.sampler, t.storage, t.trials, t.pending): t for t in asks}
    rows = tuple(
        (s, *(_ms(at.get((s, *c))) for c in columns))
        for s in dict.fromkeys(t.sampler for t in asks)
    )
    head = (
        "sampler",
        *(
            f"{storage}, {trials:,}" + (f", {pending:,} pending" if pending else "")
            for storage, trials, pending in columns
        ),
    )
    return Table("Milliseconds for an ask: median (fastest to slowest)", head, rows)


def _cell(estimate: FigureEstimate | None) -> str:
    if estimate is None:
        return "-"
    figure = FIGURES[estimate.figure]
    scale, digits = 100 if figure.is_percent else 1, figure.digits
    verdict = f" {estimate.verdict}" if estimate.verdict else ""
    return f"{estimate.value * scale:.{digits}f} ({_span(estimate, scale, digits)}){verdict}"


def _span(estimate: FigureEstimate, scale: float, digits: int) -> str:
    if estimate.low is None or estimate.high is None:
        return "one seed"
    return f"{estimate.low * scale:.{digits}f} to {estimate.high * scale:.{digits}f}"


def _ms(ask: AskTime | None) -> str:
    if ask is None or ask.ms is None:
        return "-"
    return f"{ask.ms:.1f} ({ask.low_ms:.1f} to {ask.high_ms:.1f})"
