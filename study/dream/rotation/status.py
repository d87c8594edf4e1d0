"""The status shows where every experiment stands and when its next turn is, as table or page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table

from study.dream.experiments.file import Broken, DreamFile
from study.dream.experiments.model import Experiment
from study.dream.schedule.options import RunnerOptions
from study.dream.schedule.order import wait_of
from study.dream.schedule.progress import ExperimentProgress, RunnerState, Wait
from study.dream.turns.turn_job import Report, TurnEnding

NOTHING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentStanding:
    """A standing is where an experiment of the file stands, in words.

    Args:
        name: Its name.
        slug: The name of its files.
        epoch: How many generations it has had.
        best: The best fitness.
        trend: How that went.
        coming: When its next turn is, or why it has none.
        candidate: The best candidate.
        hours: What its turns took.
    """

    name: str
    slug: str = ""
    epoch: str = NOTHING
    best: str = NOTHING
    trend: str = NOTHING
    coming: str
    candidate: str = NOTHING
    hours: str = NOTHING


def standings(
    file: DreamFile, state: RunnerState, options: RunnerOptions, *, now: float, is_alive: bool
) -> list[ExperimentStanding]:
    """Return where every experiment of a file stands.

    Args:
        file: The file in force.
        state: How far all have come.
        options: What the runner was asked for.
        now: Seconds since 1970.
        is_alive: Whether a runner runs; what was running when it died does not.
    """
    rows = [
        _standing(e, state, wait_of(e, state, options, now), is_alive=is_alive)
        for e in file.experiments
    ]
    return [*rows, *map(_broken, file.broken)]


def status_table(rows: Sequence[ExperimentStanding], cycle: int, *, is_alive: bool) -> Table:
    """Return a row for every experiment, as narrow as a terminal."""
    table = Table(title=_title(cycle, is_alive=is_alive))
    for title in ("experiment", "epoch", "best", "trend", "next turn"):
        table.add_column(title, overflow="fold", justify="right" if title == "epoch" else "left")
    for r in rows:
        table.add_row(r.name, r.epoch, r.best, r.trend, r.coming)
    return table


def status_page(
    rows: Sequence[ExperimentStanding],
    cycle: int,
    *,
    is_alive: bool,
    links: Mapping[str, str] | None = None,
) -> str:
    """Return a page that shows the same, the best candidates too; it looks again by itself.

    Args:
        rows: Where every experiment stands.
        cycle: The cycle that goes on.
        is_alive: Whether a runner runs.
        links: Where the trials of an experiment are shown, by its name.
    """
    titles = ("experiment", "epoch", "best", "trend", "next turn", "best candidate", "hours")
    head = "".join(f"<th>{title}</th>" for title in titles)
    body = "\n".join(_page_row(row, (links or {}).get(row.name)) for row in rows)
    title = html.escape(_title(cycle, is_alive=is_alive))
    foot = '<p><a href="/dashboard">all studies</a></p>' if links else ""
    return PAGE.format(title=title, head=head, body=body, foot=foot)


def ended_in_words(report: Report, progress: ExperimentProgress) -> str:
    """Say what became of a turn."""
    held = f"; held off {report.held_s:.0f} s by measuring windows" if report.held_s >= 1 else ""
    match report.ending:
        case TurnEnding.RAN | TurnEnding.FINISHED:
            best = "nothing measured" if report.best is None else f"best {report.best:.6g}"
            what = report.reason or f"{report.evaluated} evaluated, {best}"
            is_over = report.ending is TurnEnding.FINISHED
            return f"{'finished' if is_over else 'turn ended'}: {what}{held}"
        case TurnEnding.STOPPED:
            return f"stopped: {report.reason}; it goes on once its entry or evaluator has changed"
        case TurnEnding.BUSY | TurnEnding.FAILED:
            pause_s = progress.retry_at - progress.last_ended
            return f"{report.ending}: {report.reason}; tried again after {pause_s:.0f} s"
        case TurnEnding.INTERRUPTED:
            return "interrupted; it goes on where it was"


def trend_in_words(progress: ExperimentProgress) -> str:
    """Say how the best fitness went over the last epochs.

    >>> trend_in_words(ExperimentProgress(trend=(0.1, 0.2, 0.2)))
    'up 0.1 in 3 epochs'
    >>> trend_in_words(ExperimentProgress(trend=(0.2, 0.2), stale=4))
    'no better for 4 epochs'
    """
    if len(progress.trend) < 2:
        return NOTHING
    if progress.stale:
        return f"no better for {progress.stale} epoch{'s' * (progress.stale > 1)}"
    difference = progress.trend[-1] - progress.trend[0]
    return f"up {difference:.3g} in {len(progress.trend)} epochs"


def next_in_words(
    progress: ExperimentProgress, wait: Wait | None, *, is_running: bool, patience: int
) -> str:
    """Say when an experiment has its next turn."""
    if is_running:
        return "running now"
    at = datetime.fromtimestamp(progress.retry_at).astimezone()
    words = {
        None: "in this cycle",
        Wait.PAUSE: f"after {at:%H:%M:%S}: {progress.reason}",
        Wait.BUSY: f"after {at:%H:%M:%S}: {progress.reason}",
        Wait.RARELY: f"cycle {progress.next_cycle(patience)}: {wait}",
        Wait.DONE: f"cycle {max(progress.cycle + 1, progress.next_cycle(patience))}",
        Wait.STOPPED: f"stopped: {progress.reason}",
    }
    return words.get(wait, str(wait))


def _standing(
    experiment: Experiment, state: RunnerState, wait: Wait | None, *, is_alive: bool
) -> ExperimentStanding:
    progress = state.of(experiment.name, experiment.digest)
    is_running = is_alive and experiment.name in state.running
    coming = next_in_words(progress, wait, is_running=is_running, patience=experiment.patience)
    params = progress.best_params or {}
    return ExperimentStanding(
        name=experiment.name,
        slug=experiment.slug,
        epoch=str(progress.epochs),
        best="not measured" if progress.best is None else f"{progress.best:.4g}",
        trend=trend_in_words(progress),
        coming=coming if experiment.is_enabled or is_running else str(Wait.DISABLED),
        candidate=" ".join(f"{k}={v}" for k, v in params.items()) or NOTHING,
        hours=f"{progress.seconds / 3600:.2f}",
    )


def _broken(broken: Broken) -> ExperimentStanding:
    what = f"skipped: {broken.reason}" if broken.is_enabled else str(Wait.DISABLED)
    return ExperimentStanding(name=broken.name, coming=what)


def _title(cycle: int, *, is_alive: bool) -> str:
    return f"cycle {cycle}{'' if is_alive else ', no runner runs'}"


def _page_row(row: ExperimentStanding, link: str | None) -> str:
    name = html.escape(row.name)
    first = f'<a href="{html.escape(link)}">{name}</a>' if link else name
    rest = (row.epoch, row.best, row.trend, row.coming, row.candidate, row.hours)
    return f"<tr><td>{first}</td>{''.join(f'<td>{html.escape(text)}</td>' for text in rest)}</tr>"


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="10">
<meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }}
table {{ border-collapse: collapse }}
th, td {{ text-align: left; vertical-align: top; padding: .35rem .8rem .35rem 0;
  border-bottom: 1px solid #ddd; overflow-wrap: anywhere }}
</style></head><body><h1>Experiments in rotation: {title}</h1>
<table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table>{foot}</body></html>
"""
