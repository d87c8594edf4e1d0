"""The space, and latency against capacity, are drawn in plotly, which alone the dashboard takes."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from objectives.figures import flat_name, service_name
from study.analysis.category import Category
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.analysis.pareto import compared_figures
from study.report.analysis_words import CATEGORY_WORDS, pareto_figures_in_words
from study.report.charts.data import Spot, limit_text, spots
from study.report.charts.heat_map import Tile, heat_map
from study.report.charts.marks import CATEGORY_COLOURS, CATEGORY_MARKS, LOST
from study.storage.context import StudyContext

HEIGHT = 450  # what the dashboard gives to each
INK, PAPER = "#222222", "#ffffff"  # the dashboard's dark theme leaves a figure its own colours


def laid_out(figure: go.Figure, title: str, note: str = "") -> go.Figure:
    """Give a figure its title, a note below it, and the look that all of them share.

    There is no template, which would be most of the bytes.
    """
    figure.update_layout(
        template=None,
        title={
            "text": f"{title}<br><sub>{note}</sub>" if note else title,
            "x": 0.02,
            "xanchor": "left",
            "font": {"size": 16},
        },
        height=HEIGHT,
        font={"color": INK, "size": 12},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        margin={"l": 70, "r": 20, "t": 105, "b": 110},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "traceorder": "normal"},
    )
    figure.update_xaxes(gridcolor="#e5e5e5", zeroline=False, linecolor="#999999", automargin=True)
    figure.update_yaxes(gridcolor="#e5e5e5", zeroline=False, linecolor="#999999", automargin=True)
    return figure


def space(
    configurations: Sequence[Configuration], decision: Decision, context: StudyContext
) -> go.Figure:
    """Draw the heat map of the space: mean fitness, launches, and what ran out of memory."""
    table = heat_map(configurations, decision, context)
    tiles = [[table.tiles.get((x, y)) for x in table.xs] for y in table.ys]
    measured = [[_height(t, worked=True) for t in row] for row in tiles]
    failed = [[_height(t, worked=False) for t in row] for row in tiles]
    axes = {
        "x": list(table.xs),
        "y": list(table.ys),
        "xgap": 3,
        "ygap": 3,
        "hoverinfo": "skip",
        "text": [[_text(t) for t in row] for row in tiles],
        "texttemplate": "%{text}",
        "textfont": {"size": 10, "color": INK},
    }
    scale = [[0, "#f7fbff"], [1, "#6baed6"]]
    lost = [[0, LOST], [1, LOST]]
    figure = go.Figure(
        [
            go.Heatmap(z=measured, colorscale=scale, showscale=False, **axes),
            go.Heatmap(z=failed, colorscale=lost, showscale=False, **axes),
        ]
    )
    best = f"<br>best over {', '.join(table.others)}" if table.others else ""
    note = f"mean fitness ± standard error (none after one launch); empty: not tried{best}"
    figure.update_xaxes(title=table.x_name, type="category")
    figure.update_yaxes(title=table.y_name, type="category")
    return laid_out(figure, "The space, as measured", note)


def _height(tile: Tile | None, *, worked: bool) -> float | None:
    """Return the value that colours a tile; None where the other layer has it, or none."""
    if tile is None or bool(tile.configuration.measured) != worked:
        return None
    return tile.configuration.fitness if worked else 1.0


def _text(tile: Tile | None) -> str:
    return "<br>".join((f"<b>{tile.lines[0]}</b>", *tile.lines[1:])) if tile else ""


def tradeoff(
    configurations: Sequence[Configuration], decision: Decision, context: StudyContext
) -> go.Figure | None:
    """Draw the latency of each service against capacity, with the Pareto set and the limits.

    It is None where no latency was measured.
    """
    points = spots(configurations, decision, context)
    if not points:
        return None
    rates = [s.turns_per_s for s in points if s.turns_per_s is not None]
    least, most = min(rates, default=1.0), max(rates, default=1.0)
    lane = least - max(0.2, 0.15 * (most - least))
    services = list(enumerate(points[0].p95_ms, start=1))  # each has a column
    figure = make_subplots(rows=1, cols=len(services), horizontal_spacing=0.4 / len(services))
    for category in Category:
        group = [s for s in points if s.category == category]
        for column, service in services if group else ():
            trace = _dots(group, category, service, lane).update(showlegend=column == 1)
            figure.add_trace(trace, row=1, col=column)
    for column, service in services:
        limit_ms = context.limits.get(flat_name(service, "latency_p95_ms"))
        if limit_ms is None:
            continue
        figure.add_hline(
            y=limit_ms,
            line_dash="dot",
            line_color=CATEGORY_COLOURS[Category.FAILED],
            row=1,
            col=column,
            annotation_text=limit_text(limit_ms),
            annotation_position="top left",
        )
    values = sorted(set(rates))
    ticks = values[:: max(1, len(values) // 4)]
    ticks += [lane] if any(s.turns_per_s is None for s in points) else []
    figure.update_xaxes(
        title="capacity, turns/s",
        tickangle=0,
        tickvals=ticks,
        ticktext=["not<br>measured" if t == lane else f"{t:g}" for t in ticks],
    )
    figure.update_yaxes(rangemode="tozero", tickformat=",.0f")
    for column, service in services:
        figure.update_yaxes(title=f"{service_name(service)} p95, ms", row=1, col=column)
    best = pareto_figures_in_words(compared_figures(configurations, context))
    note = (
        "p95: 95 % answered within; lower and further right is better;"
        f"<br>filled: the Pareto set by {best}"
    )
    return laid_out(figure, "Latency against capacity", note)


def _dots(spots: Sequence[Spot], category: Category, service: str, lane: float) -> go.Scatter:
    """Draw the spots of one category; those without a capacity lie in the lane."""
    symbol, colour = CATEGORY_MARKS[category].symbol, CATEGORY_MARKS[category].colour
    is_line = category is Category.OVER  # it has no inside to be filled
    symbols = [symbol if s.on_pareto or is_line else f"{symbol}-open" for s in spots]
    return go.Scatter(
        x=[lane if s.turns_per_s is None else s.turns_per_s for s in spots],
        y=[s.p95_ms[service] for s in spots],
        mode="markers",
        cliponaxis=False,
        name=CATEGORY_WORDS[category],
        legendgroup=CATEGORY_WORDS[category],
        marker={
            "size": 13,
            "symbol": symbols,
            "color": colour,
            "line": {"width": 2, "color": colour},
        },
        text=[f"{s.label}<br>{s.capacity}" for s in spots],
        hovertemplate="%{text}<br>%{y:,.0f} ms<extra></extra>",
    )
