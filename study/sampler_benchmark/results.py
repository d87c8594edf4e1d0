"""This module holds a contest, writes its files and shows it.

The files are `results.csv`, `asks.csv`, `results.md` and figures, each written whole.
"""

from __future__ import annotations

import csv
import io
import os
import platform
import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table as RichTable

from objectives.devices.host_memory import processor
from objectives.plain_data.atomic import write_atomic
from study.sampler_benchmark import chart, tables
from study.sampler_benchmark.ask_time import STORAGES, AskTime, ask_times
from study.sampler_benchmark.benchmark import budget_of, hold
from study.sampler_benchmark.contest import Contest, telling_notes
from study.sampler_benchmark.journal import RunJournal, made_with
from study.sampler_benchmark.statistics import FigureEstimate, estimates, ratios
from study.sampler_benchmark.trial_run import SamplerRun


@dataclass(frozen=True, slots=True)
class Results:
    """The results are those of a contest that has been held.

    Args:
        contest: What was to be run.
        runs: Its runs.
        estimates: Every figure of every sampler on every problem.
        ratios: The tournament's trials over each rival's.
        asks: How long asks take.
        notes: What is left out, and how samplers are told of what does not fit.
        folder: Where the files lie.
    """

    contest: Contest
    runs: Sequence[SamplerRun]
    estimates: Sequence[FigureEstimate]
    ratios: Sequence[FigureEstimate]
    asks: Sequence[AskTime]
    notes: Sequence[str]
    folder: Path

    @property
    def tables(self) -> list[tables.Table]:
        """Return every table, the most telling first."""
        summary = [tables.target_table(self.estimates, batch) for batch in self.contest.batches]
        asking = [tables.asking(self.asks)] if self.asks else []
        return [*summary, tables.speeds(self.ratios), *asking, *tables.by_problem(self.estimates)]

    @property
    def charts(self) -> dict[str, chart.Chart]:
        """Return every figure by the name of its file."""
        charts = {}
        for batch in self.contest.batches:
            if not self.contest.to_target:
                charts[f"regret-{batch}"] = chart.regret_over_trials(self.runs, batch)
            charts[f"trials-to-target-{batch}"] = chart.trials_to_target(self.estimates, batch)
            is_noisy = any(name.startswith("noisy") for name in self.contest.problems)
            if is_noisy and not self.contest.to_target:
                charts[f"naming-{batch}"] = chart.naming(self.estimates, batch)
        if any(not ask.pending for ask in self.asks):
            charts["ask-time"] = chart.ask_time(self.asks)
        return charts


def compare_samplers(
    contest: Contest,
    folder: Path,
    *,
    jobs: int = 2,
    ask_sizes: Sequence[int] = (),
    ask_storages: Sequence[str] = STORAGES,
    ask_pending: Sequence[int] = (0,),
    notes: Sequence[str] = (),
    console: Console | None = None,
) -> Results:
    """Hold a contest, or what is left of it, and write everything down in its folder.

    Args:
        contest: What is to be run.
        folder: Where the runs and the results go.
        jobs: How many processes run at once.
        ask_sizes: In studies of so many trials asks are timed too, after the contest, alone.
        ask_storages: The storages in which they are.
        ask_pending: Beside so many trials that were asked for and not told.
        notes: Sentences for the results.
        console: Where progress is shown; nowhere by default.

    Raises:
        BadInput: The folder holds runs that cannot be mixed with new ones.
    """
    console = console or Console(stderr=True, quiet=True)
    journal = RunJournal(folder, to_target=contest.to_target)
    notes = [*notes, *contest.left_out(), *telling_notes(contest.samplers)]
    total = len(list(contest.runs()))
    with _progress(console) as progress:
        runs_bar = progress.add_task("runs", total=total, what="")
        runs = hold(
            contest,
            journal,
            jobs=jobs,
            ended=lambda n, what: progress.update(runs_bar, advance=n, what=what),
        )
        asks_bar = progress.add_task(
            "asks",
            total=len(ask_sizes) * len(ask_storages) * len(ask_pending) * len(contest.samplers),
            what="",
        )
        asks = []
        for ask in ask_times(
            contest.samplers,
            folder / "storages",
            sizes=ask_sizes,
            storages=ask_storages,
            pending=ask_pending,
        ):
            asks.append(ask)
            progress.update(asks_bar, advance=1, what=f"{ask.sampler} {ask.storage} {ask.trials:,}")
    with suppress(FileNotFoundError):
        (folder / "storages").rmdir()
    results = Results(contest, runs, estimates(runs), ratios(runs), asks, notes, folder)
    write_results(results, journal.started)
    return results


def write_results(results: Results, started: str) -> None:
    """Write tables as CSV and Markdown, figures as PNG."""
    head = _provenance(results, started)
    rows = [*results.estimates, *results.ratios]
    write_atomic(results.folder / "results.csv", _csv(head, FigureEstimate, rows))
    if results.asks:
        write_atomic(results.folder / "asks.csv", _csv(head, AskTime, results.asks))
    origin = "\n".join(f"- {line}" for line in head)
    write_atomic(
        results.folder / "results.md",
        "\n\n".join([origin, *(t.markdown() for t in results.tables)]) + "\n",
    )
    for name, figure in results.charts.items():
        figure.save(results.folder / f"{name}.png")


def show_results(results: Results, console: Console) -> None:
    """Print what a person wants to know first."""
    for batch in results.contest.batches:
        console.print(rich_table(tables.target_table(results.estimates, batch)))
    if results.asks:
        console.print(rich_table(tables.asking(results.asks)))
    for note in results.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(
        f"{results.folder}: results.md has every table, results.csv every figure", markup=False
    )


def rich_table(table: tables.Table) -> RichTable:
    """Return a table for a terminal."""
    rich = RichTable(title=table.title, title_justify="left")
    for n, name in enumerate(table.head):
        rich.add_column(name, justify="right" if n else "left")
    for row in table.rows:
        rich.add_row(*row)
    return rich


def _provenance(results: Results, started: str) -> list[str]:
    here = made_with()
    contest = results.contest
    seeds = {
        name: {s: len(contest.seeds_of(name, s)) for s in contest.samplers}
        for name in contest.problems
    }
    versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
    return [
        f"command: {shlex.join(sys.argv)}",
        f"started {started}; git commit {here['git_commit']}; Python {here['python']}; {versions}",
        f"machine: {processor() or 'unknown CPU'}, {os.cpu_count()} CPUs, "
        f"{platform.system()} {platform.release()}",
        "budgets: "
        + ", ".join(
            f"{name} {budget_of(name, batch)} by {batch}"
            for name in contest.problems
            for batch in contest.batches
        ),
        *(
            f"seeds of {name}, from 0: "
            + ", ".join(f"{sampler} {n}" for sampler, n in counts.items())
            for name, counts in seeds.items()
        ),
        *results.notes,
    ]


def _csv(head: Iterable[str], kind: type, rows: Iterable[Any]) -> str:
    """Return lines of provenance behind `#`, then a table; what was not measured is empty."""
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in head)
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(kind)]
    writer.writerow(names)
    for row in rows:
        data = asdict(row)
        writer.writerow(
            [f"{v:.6g}" if isinstance(v, float) else v for v in (data[name] for name in names)]
        )
    return text.getvalue()


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}"),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)
