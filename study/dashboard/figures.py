"""Our own plots in optuna-dashboard, as plotly figures; what a study has not measured has no plot."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.subplots import make_subplots  # type: ignore[import-untyped]

from study.analysis.category import Category, category
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.analysis.pareto import compared
from study.report.chart_data import Spot, Tile, bars, heat, limit_text, memory, spots, total_text
from study.report.svg import COLOURS, LOST, MARKS, PHASE_COLOURS
from study.storage.context import StudyContext
from study.storage.trials import Birth, Trial

HEIGHT = 450  # what the dashboard gives to each
INK, PAPER = "#222222", "#ffffff"  # the dashboard's dark theme leaves a figure its own colours


def _laid(figure: go.Figure, title: str, note: str = "") -> go.Figure:
    """A title, what to know below it, and the same look for all; no template, which would be most of the bytes."""
    text = f"{title}<br><sub>{note}</sub>" if note else title
    figure.update_layout(
        template=None, title={"text": text, "x": 0.02, "xanchor": "left", "font": {"size": 16}}, height=HEIGHT,
        font={"color": INK, "size": 12}, paper_bgcolor=PAPER, plot_bgcolor=PAPER,
        margin={"l": 70, "r": 20, "t": 105, "b": 110},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "traceorder": "normal"},
    )  # fmt: skip
    figure.update_xaxes(gridcolor="#e5e5e5", zeroline=False, linecolor="#999999", automargin=True)
    figure.update_yaxes(gridcolor="#e5e5e5", zeroline=False, linecolor="#999999", automargin=True)
    return figure


def space(found: Sequence[Configuration], decision: Decision, asked: StudyContext) -> go.Figure:
    """The heat map of the space: mean fitness, launches, standard error, and what ran out of memory."""
    shown = heat(found, decision, asked)
    tiles = [[shown.tiles.get((x, y)) for x in shown.xs] for y in shown.ys]
    measured = [[_at(t, worked=True) for t in row] for row in tiles]
    failed = [[_at(t, worked=False) for t in row] for row in tiles]
    axes = {
        "x": list(shown.xs), "y": list(shown.ys), "xgap": 3, "ygap": 3, "hoverinfo": "skip",
        "text": [["<br>".join((f"<b>{t.lines[0]}</b>", *t.lines[1:])) if t else "" for t in row] for row in tiles],
        "texttemplate": "%{text}", "textfont": {"size": 10, "color": INK},
    }  # fmt: skip
    scale = [[0, "#f7fbff"], [1, "#6baed6"]]
    figure = go.Figure([
        go.Heatmap(z=measured, colorscale=scale, showscale=False, **axes),
        go.Heatmap(z=failed, colorscale=[[0, LOST], [1, LOST]], showscale=False, **axes),
    ])  # fmt: skip
    best = f"<br>best over {', '.join(shown.others)}" if shown.others else ""
    note = f"mean fitness ± standard error (none after one launch); empty: not tried{best}"
    figure.update_xaxes(title=shown.x_name, type="category")
    figure.update_yaxes(title=shown.y_name, type="category")
    return _laid(figure, "The space, as measured", note)


def _at(tile: Tile | None, *, worked: bool) -> float | None:
    if tile is None or bool(tile.cell.measured) != worked:
        return None
    return tile.cell.fitness if worked else 1.0


def tradeoff(
    found: Sequence[Configuration], decision: Decision, asked: StudyContext
) -> go.Figure | None:
    """Latency of both services against capacity, with the Pareto set and the limits."""
    shown = spots(found, decision, asked)
    if not shown:
        return None
    known = [s.sessions for s in shown if s.sessions is not None]
    lane = min(known, default=1.0) - max(
        1.0, 0.15 * (max(known, default=1.0) - min(known, default=1.0))
    )
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.2)
    for what in Category:
        of = [s for s in shown if s.kind == what]
        for column, name in ((1, "stt_ms"), (2, "llm_ms")) if of else ():
            figure.add_trace(
                _dots(of, what, name, lane).update(showlegend=column == 1), row=1, col=column
            )
    limits = ((1, asked.slo.p95_ms["stt"]), (2, asked.slo.p95_ms["llm"])) if asked.slo else ()
    for column, limit_ms in limits:
        figure.add_hline(
            y=limit_ms, line_dash="dot", line_color=COLOURS[Category.FAILED], row=1, col=column,
            annotation_text=limit_text(limit_ms), annotation_position="top left",
        )  # fmt: skip
    spread = sorted(set(known))
    ticks = spread[:: max(1, len(spread) // 4)] + (
        [lane] if any(s.sessions is None for s in shown) else []
    )
    figure.update_xaxes(
        title="voice sessions at once", tickangle=0, tickvals=ticks,
        ticktext=["not<br>measured" if t == lane else f"{t:g}" for t in ticks],
    )  # fmt: skip
    figure.update_yaxes(rangemode="tozero", tickformat=",.0f")
    figure.update_yaxes(title="speech p95, ms", row=1, col=1)
    figure.update_yaxes(title="LLM p95, ms", row=1, col=2)
    best = ", ".join(compared(found, asked))
    note = f"p95: 95 % answered within; lower and further right is better;<br>filled: the Pareto set by {best}"
    return _laid(figure, "Latency against capacity", note)


def _dots(of: Sequence[Spot], what: Category, name: str, lane: float) -> go.Scatter:
    symbol, colour = MARKS[what].symbol, MARKS[what].colour
    return go.Scatter(
        x=[lane if s.sessions is None else s.sessions for s in of],
        y=[getattr(s, name) for s in of],
        mode="markers",
        cliponaxis=False,
        name=what,
        legendgroup=what,
        marker={
            "size": 13, "symbol": [symbol + ("" if s.on_pareto or what is Category.OVER else "-open") for s in of],
            "color": colour, "line": {"width": 2, "color": colour},
        },
        text=[f"{s.label}<br>{s.capacity}" for s in of],
        hovertemplate="%{text}<br>%{y:,.0f} ms<extra></extra>",
    )  # fmt: skip


def time_by_phase(rows: Sequence[Trial]) -> go.Figure | None:
    """Stacked bars: the seconds of every launched trial."""
    shown = bars(rows)
    if not shown:
        return None
    labels = [b.label for b in shown]
    figure = go.Figure([
        go.Bar(
            y=labels, x=[b.seconds.get(p, 0.0) for b in shown], name=p, orientation="h",
            marker={"color": PHASE_COLOURS[p]}, customdata=[b.configuration for b in shown],
            hovertemplate=f"{p}: %{{x:.1f}} s<extra>%{{customdata}}</extra>",
        )
        for p in PHASE_COLOURS if any(p in b.seconds for b in shown)
    ])  # fmt: skip
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed", tickfont={"size": 12 if len(shown) <= 12 else 8})
    figure.update_xaxes(title="seconds")
    return _laid(figure, "Where the time went", "of every launch, failed ones too")


def lineage(
    born: Sequence[Birth], found: Sequence[Configuration], decision: Decision, asked: StudyContext
) -> go.Figure | None:
    """The tournament's family tree: fitness over generations, with a line from each parent to its child."""
    value = {r.number: (c, r.fitness) for c in found for r in (*c.measured, *c.failed)}
    shown = [b for b in born if b.number in value]
    scores = [f for c, f in value.values() if f is not None and c.measured]
    if not shown or not scores:
        return None
    lane = min(scores) - max(0.02, 0.2 * (max(scores) - min(scores)))
    generations = {b.generation for b in shown}
    size = {g: sum(b.generation == g for b in shown) for g in generations}
    where: dict[int, tuple[float, float]] = {}
    for b in shown:
        place = sum(o.generation == b.generation and o.number < b.number for o in shown)
        where[b.number] = (
            b.generation + 0.7 * place / size[b.generation],
            _height(value[b.number], lane),
        )
    xs: list[float | None] = []
    ys: list[float | None] = []
    for b in shown:
        for parent in (p for p in b.parents if p in where):
            xs += [where[parent][0], where[b.number][0], None]
            ys += [where[parent][1], where[b.number][1], None]
    figure = go.Figure(
        go.Scatter(
            x=xs,
            y=ys,
            mode="lines",
            line={"color": "#999999"},
            hoverinfo="skip",
            name="parent to child",
        )
    )
    for what in Category:
        of = [b for b in shown if category(value[b.number][0], decision, asked) == what]
        if of:
            figure.add_trace(
                go.Scatter(
                    x=[where[b.number][0] for b in of], y=[where[b.number][1] for b in of], mode="markers+text",
                    name=what, text=[str(b.number) for b in of], textposition="top center",
                    marker={"size": 13, "symbol": MARKS[what].symbol, "color": COLOURS[what]},
                    customdata=[[b.role, str(value[b.number][0].allocation)] for b in of],
                    hovertemplate="trial %{text}, %{customdata[0]}<br>%{customdata[1]}<extra></extra>",
                )
            )  # fmt: skip
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
    return _laid(
        figure,
        "Lineage of the tournament",
        "numbers are trials; a child has one gene or more changed",
    )


def _height(of: tuple[Configuration, float | None], lane: float) -> float:
    cell, score = of
    return lane if score is None or not cell.measured else score


def memory_over_time(r: Trial | None) -> go.Figure | None:
    """Device memory in use while one trial was measured."""
    line = memory(r)
    if line is None:
        return None
    figure = go.Figure(
        go.Scatter(
            y=list(line.used_mib),
            mode="lines",
            fill="tozeroy",
            line={"color": COLOURS[Category.WINNER]},
            name="in use",
        )
    )
    figure.add_hline(
        y=line.total_mib,
        line_color=COLOURS[Category.FAILED],
        annotation_text=total_text(line),
    )
    figure.update_xaxes(title="seconds since the launch")
    figure.update_yaxes(title="MiB", rangemode="tozero", tickformat=",.0f")
    return _laid(figure, "Memory over time", f"all that is in use on the device, {line.label}")
