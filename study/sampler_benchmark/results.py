"""From a contest to what is kept and shown: `results.csv`, `asks.csv`, `results.md` and figures, each written whole."""

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

from objectives.plain_data.atomic import write_atomic
from study.sampler_benchmark import chart, tables
from study.sampler_benchmark.ask_time import STORAGES, AskTime, ask_times
from study.sampler_benchmark.benchmark import Contest, budget_of, hold, how_told
from study.sampler_benchmark.journal import Journal, provenance
from study.sampler_benchmark.statistics import Estimate, estimates, ratios
from study.sampler_benchmark.trial_run import Run


@dataclass(frozen=True, slots=True)
class Results:
    """A contest that has been held."""

    contest: Contest
    runs: Sequence[Run]
    estimates: Sequence[Estimate]
    ratios: Sequence[Estimate]
    asks: Sequence[AskTime]
    notes: Sequence[str]
    folder: Path

    @property
    def tables(self) -> list[tables.Table]:
        """Every table, the most telling first."""
        summary = [tables.trials_to_target(self.estimates, batch) for batch in self.contest.batches]
        asked = [tables.asking(self.asks)] if self.asks else []
        return [*summary, tables.speeds(self.ratios), *asked, *tables.by_problem(self.estimates)]

    @property
    def charts(self) -> dict[str, chart.Chart]:
        """Every figure by the name of its file."""
        drawn = {}
        for batch in self.contest.batches:
            drawn[f"regret-{batch}"] = chart.regret_over_trials(self.runs, batch)
            drawn[f"trials-to-target-{batch}"] = chart.trials_to_target(self.estimates, batch)
            if any(name.startswith("noisy") for name in self.contest.problems):
                drawn[f"naming-{batch}"] = chart.naming(self.estimates, batch)
        if self.asks:
            drawn["ask-time"] = chart.ask_time(self.asks)
        return drawn


def compare(
    contest: Contest,
    folder: Path,
    *,
    jobs: int = 2,
    ask_sizes: Sequence[int] = (),
    ask_storages: Sequence[str] = STORAGES,
    notes: Sequence[str] = (),
    console: Console | None = None,
) -> Results:
    """Hold a contest, or what is left of it, and write everything down in its folder.

    ask_sizes: for studies of so many trials the time of an ask is measured too, after the contest, alone
    raises: BadInput where the folder holds runs that cannot be mixed with new ones
    """
    console = console or Console(stderr=True, quiet=True)
    journal = Journal(folder)
    notes = [*notes, *contest.left_out(), *how_told(contest.samplers)]
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
            "asks", total=len(ask_sizes) * len(ask_storages) * len(contest.samplers), what=""
        )
        asks = []
        for found in ask_times(
            contest.samplers, folder / "storages", sizes=ask_sizes, storages=ask_storages
        ):
            asks.append(found)
            progress.update(
                asks_bar, advance=1, what=f"{found.sampler} {found.storage} {found.trials:,}"
            )
    with suppress(FileNotFoundError):
        (folder / "storages").rmdir()
    results = Results(contest, runs, estimates(runs), ratios(runs), asks, notes, folder)
    write(results, journal.started)
    return results


def write(results: Results, started: str) -> None:
    """Tables as CSV and Markdown, figures as PNG."""
    head = _provenance(results, started)
    shown = [*results.estimates, *results.ratios]
    write_atomic(results.folder / "results.csv", _csv(head, Estimate, shown))
    if results.asks:
        write_atomic(results.folder / "asks.csv", _csv(head, AskTime, results.asks))
    said = [f"- {line}" for line in head]
    write_atomic(
        results.folder / "results.md",
        "\n\n".join(["\n".join(said), *(t.markdown() for t in results.tables)]) + "\n",
    )
    for name, drawn in results.charts.items():
        drawn.save(results.folder / f"{name}.png")


def show(results: Results, console: Console) -> None:
    """What a person wants to know first."""
    for batch in results.contest.batches:
        console.print(rich_table(tables.trials_to_target(results.estimates, batch)))
    if results.asks:
        console.print(rich_table(tables.asking(results.asks)))
    for note in results.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print(
        f"{results.folder}: results.md has every table, results.csv every figure", markup=False
    )


def rich_table(table: tables.Table) -> RichTable:
    """A table for a terminal."""
    drawn = RichTable(title=table.title, title_justify="left")
    for n, name in enumerate(table.head):
        drawn.add_column(name, justify="right" if n else "left")
    for row in table.rows:
        drawn.add_row(*row)
    return drawn


def _provenance(results: Results, started: str) -> list[str]:
    made = provenance()
    contest = results.contest
    seeds = {
        name: {s: len(contest.seeds_of(name, s)) for s in contest.samplers}
        for name in contest.problems
    }
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    return [
        f"command: {shlex.join(sys.argv)}",
        f"started {started}; git commit {made['git_commit']}; Python {made['python']}; {versions}",
        f"machine: {processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "budgets: " + ", ".join(f"{name} {budget_of(name)}" for name in contest.problems),
        *(
            f"seeds of {name}, from 0: "
            + ", ".join(f"{sampler} {n}" for sampler, n in counts.items())
            for name, counts in seeds.items()
        ),
        *results.notes,
    ]


def processor() -> str:
    """The name of the processor, as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        "unknown CPU",
    )


def _csv(head: Iterable[str], kind: type, rows: Iterable[Any]) -> str:
    """Lines of provenance behind `#`, then a plain table; what was not measured is empty."""
    held = io.StringIO()
    held.writelines(f"# {line}\n" for line in head)
    writer = csv.writer(held, lineterminator="\n")
    names = [field.name for field in fields(kind)]
    writer.writerow(names)
    for row in rows:
        data = asdict(row)
        writer.writerow(
            [f"{v:.6g}" if isinstance(v, float) else v for v in (data[name] for name in names)]
        )
    return held.getvalue()


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[what]}"))  # fmt: skip
    return Progress(*columns, console=console, disable=not console.is_terminal)
