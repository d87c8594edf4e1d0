"""This module draws the figures of a comparison.

Their colours are those of Okabe and Ito, which colour-blind people tell apart; dashes differ too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from objectives.plain_data.atomic import write_atomic
from study.sampler_benchmark.ask_time import AskTime
from study.sampler_benchmark.statistics import FigureEstimate, curve
from study.sampler_benchmark.trial_run import SamplerRun

STYLES: dict[str, tuple[str, Any]] = {  # colour and dashes of the samplers that are drawn as lines
    "tournament": ("#D55E00", "-"),
    "tpe": ("#0072B2", "--"),
    "gp": ("#009E73", "-."),
    "exhaustive": ("#000000", ":"),
    "nsga2": ("#CC79A7", (0, (5, 1, 1, 1))),
    "random": ("#999999", (0, (1, 1))),
}
OURS, OTHERS = "#D55E00", "#444444"
NAMED_AFTER = 40  # trials
NAMING_MARKS = {"best_trial": ("o", "#0072B2"), "recommend": ("s", "#D55E00")}
DPI = 150


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart is a finished figure, which Jupyter shows and `save` writes.

    Args:
        figure: The figure of matplotlib.
    """

    figure: Figure

    def _repr_png_(self) -> bytes:
        """Return the PNG that Jupyter shows."""
        png = io.BytesIO()
        self.figure.savefig(png, format="png", dpi=DPI, bbox_inches="tight")
        return png.getvalue()

    def save(self, path: Path) -> None:
        """Write the PNG file, whole or not at all."""
        write_atomic(path, self._repr_png_())


def regret_over_trials(runs: Sequence[SamplerRun], batch: int) -> Chart:
    """Draw mean regret of the best so far, a panel for each problem; bands: 95 % t intervals."""
    chosen = [r for r in runs if r.batch == batch and r.sampler in STYLES]
    problems = list(dict.fromkeys(r.problem for r in chosen))
    figure, panels = _panels(len(problems), 3.6, 3.0, "trials told")
    for axes, problem in zip(panels, problems, strict=False):
        top = 0.0
        for sampler, (colour, dashes) in STYLES.items():
            mine = [r for r in chosen if (r.problem, r.sampler) == (problem, sampler)]
            if not mine:
                continue
            trials, mean, low, high = curve(mine)
            axes.plot(trials, mean, color=colour, linestyle=dashes, linewidth=1.8, label=sampler)
            axes.fill_between(trials, low, high, color=colour, alpha=0.15, linewidth=0)
            top = max(top, float(mean[min(4, len(mean) - 1)]))
        axes.set_title(problem, fontsize=11)
        axes.set_ylim(0, top * 1.05 or 1)
        axes.set_xlim(1, None)
        axes.grid(alpha=0.25)
    _legend(figure, panels[0])
    figure.supylabel("regret (0 best, 1 median)", fontsize=11)
    figure.suptitle(f"Regret over trials, {batch} at a time; bands: 95 % over seeds", fontsize=12)
    return Chart(figure)


def trials_to_target(estimates: Sequence[FigureEstimate], batch: int) -> Chart:
    """Draw mean trials to the target with 95 % intervals, a panel for each problem.

    Misses count as budget + 1.
    """
    chosen = [e for e in estimates if e.batch == batch and e.figure == "trials_to_target"]
    missed = {
        (e.problem, e.sampler): e.value
        for e in estimates
        if e.batch == batch and e.figure == "missed"
    }
    problems = list(dict.fromkeys(e.problem for e in chosen))
    rows = max(sum(e.problem == p for e in chosen) for p in problems)
    figure, panels = _panels(len(problems), 3.9, 1 + 0.22 * rows, "mean trials (fewer is better)")
    for axes, problem in zip(panels, problems, strict=False):
        here = sorted((e for e in chosen if e.problem == problem), key=lambda e: -e.value)
        for place, e in enumerate(here):
            colour = OURS if e.sampler == "tournament" else OTHERS
            axes.errorbar(
                e.value, place, xerr=_arms(e), fmt="o", color=colour, markersize=5, capsize=3
            )
            if share := missed[problem, e.sampler]:
                right = e.high if e.high is not None else e.value
                _annotate(axes, f" {share:.0%} missed", (right, place), 3, colour)
        axes.set_yticks(range(len(here)), [f"{e.sampler} ({e.n})" for e in here], fontsize=8)
        axes.set_xlim(0, 1.45 * max(e.high or e.value for e in here))
        axes.set_title(problem, fontsize=11)
        axes.grid(axis="x", alpha=0.25)
    note = "bars: 95 % over seeds, whose number is in brackets"
    figure.suptitle(f"Trials to the target, {batch} at a time; {note}", fontsize=12)
    return Chart(figure)


def naming(estimates: Sequence[FigureEstimate], batch: int) -> Chart:
    """Draw how often the true best is named after so many noisy trials.

    It is named by `best_trial`, and by `recommend`.
    """
    ways = {f"{way}_named_{NAMED_AFTER}": way for way in NAMING_MARKS}
    chosen = [
        e for e in estimates if e.batch == batch and e.figure in ways and "noisy" in e.problem
    ]
    problems = list(dict.fromkeys(e.problem for e in chosen))
    rows = max((len({e.sampler for e in chosen if e.problem == p}) for p in problems), default=1)
    figure, panels = _panels(
        max(1, len(problems)), 3.9, 1 + 0.26 * rows, "share of studies (more is better)"
    )
    for axes, problem in zip(panels, problems, strict=False):
        at = {(e.sampler, ways[e.figure]): e for e in chosen if e.problem == problem}
        samplers = sorted(
            {s for s, _ in at},
            key=lambda s: max(at[s, way].value for way in NAMING_MARKS if (s, way) in at),
        )
        for (sampler, way), e in at.items():
            marker, colour = NAMING_MARKS[way]
            place = samplers.index(sampler) + (0.15 if way == "recommend" else -0.15)
            style: dict[str, Any] = {"fmt": marker, "color": colour, "markersize": 5, "capsize": 2}
            axes.errorbar(e.value, place, xerr=_arms(e), label=way, **style)
        axes.set_yticks(range(len(samplers)), samplers, fontsize=8)
        axes.set_xlim(-0.02, 1.02)
        axes.set_title(problem, fontsize=11)
        axes.grid(axis="x", alpha=0.25)
    _legend(figure, panels[0])
    figure.suptitle(
        f"Naming the true best after {NAMED_AFTER} noisy trials, {batch} at a time; bars: 95 %",
        fontsize=12,
    )
    return Chart(figure)


def ask_time(asks: Sequence[AskTime]) -> Chart:
    """Draw ms for an ask against the trials that a study holds, a panel for each storage.

    Bars go from the fastest to the slowest. Asks beside pending trials are in the table only.
    """
    asks = [t for t in asks if not t.pending]
    storages = list(dict.fromkeys(t.storage for t in asks))
    samplers = list(dict.fromkeys(t.sampler for t in asks))
    figure, panels = _panels(len(storages), 4.2, 3.4, "trials in the study")
    for axes, storage in zip(panels, storages, strict=False):
        for sampler in samplers:
            mine = [
                t for t in asks if (t.sampler, t.storage) == (sampler, storage) and t.ms is not None
            ]
            if not mine:
                continue
            sizes, ms = [t.trials for t in mine], [t.ms or 0.0 for t in mine]
            ends = np.array([[t.low_ms or 0.0, t.high_ms or 0.0] for t in mine]).T
            colour, dashes = STYLES.get(sampler, ("#56B4E9", "-"))
            label, width = (sampler, 1.6) if sampler in STYLES else ("others", 0.8)
            look: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": width}
            arms = np.abs(ends - ms)
            axes.errorbar(sizes, ms, arms, label=label, marker="o", markersize=4, capsize=2, **look)
            if sampler not in STYLES:
                _annotate(axes, sampler, (sizes[-1], ms[-1]), 4, "#30759c")
        axes.set(xscale="log", yscale="log", title=storage)
        ticks = sorted({t.trials for t in asks})
        axes.set_xticks(ticks, [f"{n:,}" for n in ticks])
        axes.set_xlim(ticks[0] / 1.3, ticks[-1] * 1.6)
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.25, which="both")
    _legend(figure, panels[0])
    figure.supylabel("ms for an ask", fontsize=11)
    figure.suptitle("Time for an ask; bars: fastest to slowest of several", fontsize=12)
    return Chart(figure)


def _panels(n: int, width: float, height: float, label: str) -> tuple[Figure, list[Axes]]:
    """Return a figure with n panels in rows of at most four; the label is that of their x axes."""
    columns = min(n, 4) or 1
    rows = -(-n // columns)
    figure = Figure(figsize=(width * columns, height * rows + 1), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in panels[n:]:
        empty.set_axis_off()
    for axes in panels[max(0, n - columns) : n]:  # the lowest of each column
        axes.set_xlabel(label)
    return figure, panels


def _annotate(
    axes: Axes, text: str, point: tuple[float, float], gap_pt: float, colour: str
) -> None:
    """Write a small text to the right of a point."""
    place: dict[str, Any] = {"xytext": (gap_pt, 0), "textcoords": "offset points", "va": "center"}
    axes.annotate(text, point, fontsize=7, color=colour, **place)


def _legend(figure: Figure, axes: Axes) -> None:
    """Add one legend for all panels, below them, each name once."""
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if handles:
        place: dict[str, Any] = {"loc": "outside lower center", "ncols": len(handles)}
        figure.legend(handles.values(), handles.keys(), frameon=False, **place)


def _arms(e: FigureEstimate) -> list[list[float]] | None:
    return None if e.low is None or e.high is None else [[e.value - e.low], [e.high - e.value]]
