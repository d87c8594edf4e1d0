"""This module sets studies side by side: what each asked, where, and what its answer measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from objectives.engines.registry import apis_of
from objectives.figures import CAPACITY, Figure, figures_of, shown
from study.analysis.configurations import Configuration
from study.report.headline import sentence, standing
from study.report.html import page
from study.report.html_sections import provenance_rows
from study.report.summary import Summary
from study.report.trial_words import mean_capacity
from study.text import capital
from study.wording.allocations import short

# figures of two studies are comparable where these are the same
SAME = ("device", "versions", "traffic", "limits of a turn")


@dataclass(frozen=True, slots=True)
class Row:
    """A row says one thing of each study.

    Args:
        name: What is said.
        values: It, for each study in their order.
    """

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Return whether it is not the same for all."""
        return len(set(self.values)) > 1


def side_by_side(summaries: Sequence[Summary]) -> str:
    """Return a page with a column for each study; it needs nothing else."""
    circumstances = _circumstances(summaries)
    content = {
        "title": f"{len(summaries)} studies side by side",
        "byline": f"written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "colour": "#57606a",
        "studies": [s.study for s in summaries],
        "answers": _answers(summaries),
        "figures": _figures(summaries),
        "circumstances": circumstances,
        "caution": _caution(circumstances),
    }
    return page("studies.html", content)


def _answers(summaries: Sequence[Summary]) -> list[Row]:
    return [
        Row("answer", tuple(sentence(s) for s in summaries)),
        Row("how sure", tuple(f"{capital(standing(s))}." for s in summaries)),
    ]


def _figures(summaries: Sequence[Summary]) -> list[Row]:
    """Return what each study measured of what it says to run; "-" is what it did not measure."""
    apis = {name: api for s in summaries for name, api in apis_of(s.context.services).items()}
    chosen = [_chosen(s) for s in summaries]
    rows = [
        Row("to run", tuple(short(c.allocation) if c else "nothing" for c in chosen)),
        Row("launches", tuple(str(len(c.measured)) if c else "-" for c in chosen)),
    ]
    for name, f in shown(figures_of(apis)).items():
        values = tuple(_value(c, name, f) for c in chosen)
        if set(values) != {"-"}:
            rows.append(Row(f.title, values))
    return rows


def _chosen(summary: Summary) -> Configuration | None:
    """Return what a study says to run: its winner, or what stays."""
    decision = summary.decision
    return decision.baseline if summary.is_rejected else decision.winner or decision.baseline


def _value(configuration: Configuration | None, name: str, f: Figure) -> str:
    if configuration is None or (mean := configuration.mean(name)) is None:
        return "-"
    text = mean_capacity(configuration) if name == CAPACITY else f.text(mean)
    return f"{text} {f.unit}".rstrip()


def _circumstances(summaries: Sequence[Summary]) -> list[Row]:
    """Return where the figures of each study come from."""
    columns = [dict(provenance_rows(s)) for s in summaries]
    return [Row(name, tuple(c.get(name, "-") for c in columns)) for name in columns[0]]


def _caution(circumstances: Sequence[Row]) -> str:
    """Say what keeps the figures from being held against each other; empty where nothing does."""
    names = [row.name for row in circumstances if row.name in SAME and row.differs]
    if not names:
        return ""
    return (
        f"Not the same in all: {', '.join(names)}. So a difference between the figures may come "
        "from there, and says nothing about which allocation is better."
    )
