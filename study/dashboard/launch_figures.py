"""Draw as plotly figures what single launches tell: their time by phase, and memory over time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]

from study.analysis.category import Category
from study.dashboard.figures import laid_out
from study.report.charts.data import bars, launches_drawn, memory_use, total_text
from study.report.charts.marks import CATEGORY_COLOURS, phase_colours
from study.storage.trials import Trial


def time_by_phase(trials: Sequence[Trial], services: Collection[str]) -> go.Figure | None:
    """Draw the seconds of the newest launches as stacked bars; None where no trial has any.

    Args:
        trials: The trials of a study.
        services: The names of its services, in the order of their starts.
    """
    timed = bars(trials, services)
    if not timed:
        return None
    figure = go.Figure(
        [
            go.Bar(
                y=[b.label for b in timed],
                x=[b.seconds.get(phase, 0.0) for b in timed],
                name=phase,
                orientation="h",
                marker={"color": colour},
                customdata=[b.configuration for b in timed],
                hovertemplate=f"{phase}: %{{x:.1f}} s<extra>%{{customdata}}</extra>",
            )
            for phase, colour in phase_colours(services).items()
            if any(phase in b.seconds for b in timed)
        ]
    )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(autorange="reversed", tickfont={"size": 12 if len(timed) <= 12 else 8})
    figure.update_xaxes(title="seconds")
    return laid_out(figure, "Where the time went", f"of {launches_drawn(timed)}, failed ones too")


def memory_over_time(trial: Trial | None) -> go.Figure | None:
    """Draw the device memory in use while a trial was measured; None where it was not recorded."""
    memory = memory_use(trial)
    if memory is None:
        return None
    figure = go.Figure(
        go.Scatter(
            y=list(memory.used_mib),
            mode="lines",
            fill="tozeroy",
            line={"color": CATEGORY_COLOURS[Category.WINNER]},
            name="in use",
        )
    )
    figure.add_hline(
        y=memory.total_mib,
        line_color=CATEGORY_COLOURS[Category.FAILED],
        annotation_text=total_text(memory),
    )
    figure.update_xaxes(title="seconds since the launch")
    figure.update_yaxes(title="MiB", rangemode="tozero", tickformat=",.0f")
    return laid_out(figure, "Memory over time", f"all that is in use on the device, {memory.label}")
