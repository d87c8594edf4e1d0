"""This module draws single launches: their time by phase, their cards, and memory over time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]

from study.analysis.category import Category
from study.dashboard.figures import laid_out
from study.lanes.card_names import short_name
from study.report.charts.data import bars, launches_drawn, memory_use, total_text
from study.report.charts.marks import CATEGORY_COLOURS, phase_colours
from study.storage.trial import State, Trial
from study.wording.allocations import short

OUTCOMES: Sequence[tuple[str, Category, Callable[[Trial], bool]]] = (
    ("measured", Category.WORKS, lambda t: t.state is State.COMPLETE),
    ("given up", Category.GIVEN_UP, lambda t: t.state is State.DOMINATED),
    ("failed", Category.FAILED, lambda t: t.state not in (State.COMPLETE, State.DOMINATED)),
)


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


def cards_over_time(trials: Sequence[Trial], cards: Mapping[int, str]) -> go.Figure | None:
    """Draw when each card measured what, a row for each; None where only one did.

    Args:
        trials: The trials of a study.
        cards: The UUID of the card that measured a trial, by the trial's number.
    """
    launched = [t for t in trials if t.repeat_of is None and t.at and t.number in cards]
    if len({cards[t.number] for t in launched}) < 2:
        return None
    figure = go.Figure(
        [
            go.Bar(
                base=[t.at for t in some],
                x=[1000.0 * t.wall_s for t in some],
                y=[short_name(cards[t.number]) for t in some],
                name=name,
                orientation="h",
                marker={"color": CATEGORY_COLOURS[category]},
                customdata=[[t.number, short(t.allocation), t.wall_s] for t in some],
                hovertemplate="trial %{customdata[0]}: %{customdata[1]}, %{customdata[2]:.0f} s"
                f"<extra>{name}</extra>",
            )
            for name, category, is_of in OUTCOMES
            if (some := [t for t in launched if is_of(t)])
        ]
    )
    figure.update_layout(barmode="overlay")
    figure.update_yaxes(categoryorder="category descending")
    figure.update_xaxes(type="date")
    return laid_out(figure, "What each card measured", "a gap is a card that waits")


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
