"""This module draws the tournament's family tree as a plotly figure: fitness over generations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]

from study.analysis.category import Category, category
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.dashboard.births import Birth
from study.dashboard.figures import laid_out
from study.report.analysis_words import CATEGORY_WORDS
from study.report.charts.marks import CATEGORY_COLOURS, CATEGORY_MARKS

Places = Mapping[int, tuple[float, float]]  # of a trial: x within its generation, y its fitness


def lineage(
    births: Sequence[Birth],
    configurations: Sequence[Configuration],
    decision: Decision,
) -> go.Figure | None:
    """Draw a line from each parent to its child; None where none of them has a fitness."""
    of_trial = {t.number: c for c in configurations for t in c.launches}
    worked = [c for c in configurations if c.measured]
    fitness = {t.number: t.fitness for c in worked for t in c.launches}
    fitness |= {t.number: t.optimistic_fitness for c in configurations for t in c.dominated}
    born = [b for b in births if b.number in of_trial]
    scores = [f for f in fitness.values() if f is not None]
    if not born or not scores:
        return None
    lane = min(scores) - max(0.02, 0.2 * (max(scores) - min(scores)))
    places = _places(born, fitness, lane)
    figure = go.Figure(_lines(born, places))
    for kind in Category:
        group = [b for b in born if category(of_trial[b.number], decision) == kind]
        if group:
            figure.add_trace(_marks(group, kind, places, of_trial))
    generations = {b.generation for b in born}
    pad = 0.15 * (max(scores) - lane)
    figure.update_xaxes(
        title="generation", tickvals=sorted(generations), range=[-0.3, max(generations) + 0.9]
    )
    figure.update_yaxes(title="fitness", range=[lane - pad, max(scores) + pad])
    figure.add_annotation(
        x=0.01,
        xref="paper",
        y=lane,
        text="did not work",
        showarrow=False,
        xanchor="left",
        yshift=-16,
    )
    note = "numbers are trials; a child has one gene or more changed"
    return laid_out(figure, "Lineage of the tournament", note)


def _places(born: Sequence[Birth], fitness: Mapping[int, float | None], lane: float) -> Places:
    """Spread the trials of a generation beside each other; what has no fitness lies in the lane."""
    size, before = Counter(b.generation for b in born), Counter[int]()
    places: dict[int, tuple[float, float]] = {}
    for b in sorted(born, key=lambda b: b.number):
        rank, score = before[b.generation], fitness.get(b.number)
        before[b.generation] += 1
        x = b.generation + 0.7 * rank / size[b.generation]
        places[b.number] = (x, lane if score is None else score)
    return places


def _lines(born: Sequence[Birth], places: Places) -> go.Scatter:
    """Draw all lines from parent to child as one trace, in which None ends a line."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for b in born:
        for parent in (p for p in b.parents if p in places):
            xs += [places[parent][0], places[b.number][0], None]
            ys += [places[parent][1], places[b.number][1], None]
    return go.Scatter(
        x=xs,
        y=ys,
        mode="lines",
        line={"color": "#999999"},
        hoverinfo="skip",
        name="parent to child",
    )


def _marks(
    group: Sequence[Birth],
    kind: Category,
    places: Places,
    of_trial: Mapping[int, Configuration],
) -> go.Scatter:
    """Draw the trials of one category with their numbers."""
    return go.Scatter(
        x=[places[b.number][0] for b in group],
        y=[places[b.number][1] for b in group],
        mode="markers+text",
        name=CATEGORY_WORDS[kind],
        text=[str(b.number) for b in group],
        textposition="top center",
        marker={"size": 13, "symbol": CATEGORY_MARKS[kind].symbol, "color": CATEGORY_COLOURS[kind]},
        customdata=[[b.role, str(of_trial[b.number].allocation)] for b in group],
        hovertemplate="trial %{text}, %{customdata[0]}<br>%{customdata[1]}<extra></extra>",
    )
