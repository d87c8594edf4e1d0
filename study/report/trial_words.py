"""This module says in words what became of a trial or configuration; pure."""

from __future__ import annotations

import re

from objectives.diagnosis.busy import CPU_PCT
from objectives.engines.registry import apis_of
from objectives.figures import CAPACITY, FITNESS, figure, figures_of
from objectives.measurement import Measurement
from study.analysis.category import Category, category
from study.analysis.compare import FREE
from study.analysis.configurations import Configuration, ranked
from study.analysis.promotion_eligibility import broken_limits
from study.report.analysis_words import CATEGORY_WORDS
from study.report.answer import launches_in_words
from study.report.reasons import ineligible, over
from study.report.service_words import latencies_of
from study.report.summary import Summary
from study.storage.trial import State, Trial
from study.wording.allocations import short
from study.wording.failures import NO_GOOD_RATE

WINNER = CATEGORY_WORDS[Category.WINNER]


def configurations_table(summary: Summary, most: int | None = None) -> str:
    """Tabulate the configurations in Markdown, best first; of a long study at most so many."""
    heads, rows = configuration_rows(summary, most, winner=f"**{WINNER}**")
    lines = [heads, ["---"] * len(heads), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    more = 0 if most is None else len(summary.configurations) - most
    return table + (f"\n\n{more:,} more are in the report." if more > 0 else "")


def configuration_rows(
    summary: Summary, most: int | None = None, *, winner: str = WINNER
) -> tuple[list[str], list[list[str]]]:
    """Return the heads of a table of configurations and its rows, best first.

    Args:
        summary: The study.
        most: How many at most; None for all.
        winner: The word for the winner.
    """
    decision, services = summary.decision, apis_of(summary.context.services)
    words = [n for n, f in figures_of(services).items() if f.name == "wer_pct"]
    names = [*latencies_of(summary.context), CAPACITY, *words, FREE]
    heads = ["configuration", "fitness", "launches", *(figure(n).head for n in names), "outcome"]
    rows = []
    for c in ranked(summary.configurations)[:most]:
        kind = category(c, decision)
        mark = winner if kind is Category.WINNER else CATEGORY_WORDS[kind]
        if kind is Category.WINNER:
            verdict = "rejected" if summary.is_rejected else "confirmed"
            is_judged = summary.is_rejected or summary.is_confirmed
            mark += f", {verdict} by fresh launches" * is_judged
        if kind is Category.OVER:
            mark += f": {', '.join(over(c.measured))}"
        elif c.measured and (why := decision.against(c.allocation)):
            mark += f": {ineligible(why)}"
        if c.failed or c.is_given_up:
            mark += f": {outcome_in_words((*c.failed, *c.dominated)[-1])}"
        figures = (mean_capacity(c) if n == CAPACITY else figure(n).text(c.mean(n)) for n in names)
        launches = launches_in_words(c) if c.measured else "-"
        fitness = FITNESS.text(c.fitness)
        rows.append([short(c.allocation), fitness, launches, *figures, mark])
    return heads, rows


def without_paths(command: str) -> str:
    """Return a command line without the folders of the machine it ran on.

    >>> without_paths("/home/me/venv/bin/python -m serve --model /models/llm")
    'python -m serve --model llm'
    """
    return re.sub(r"(?<=[ =])/\S*/|^/\S*/", "", command)


def wrapped(command: str) -> str:
    """Give each option of a command line a line, to be pasted into a shell.

    >>> print(wrapped("python -m serve --port 80 --eager"))
    python -m serve \\
      --port 80 \\
      --eager
    """
    return command.replace(" --", " \\\n  --")


def outcome_in_words(trial: Trial) -> str:
    """Say in a phrase what became of a trial."""
    if trial.repeat_of is not None:
        return f"repeat of trial {trial.repeat_of}"
    if (d := trial.diagnosis) is not None:
        deficit = f", {d.deficit_mib:,.0f} MiB short" if d.deficit_mib else ""
        return f"{trial.state}: {d.failure_class}{deficit}"
    if trial.state is State.DOMINATED:
        return f"fitness at most {FITNESS.text(trial.optimistic_fitness)}"
    if not trial.is_feasible:
        return "over: " + ", ".join(broken_limits([trial]))
    return (
        f"fitness {FITNESS.text(trial.fitness)}" if trial.fitness is not None else str(trial.state)
    )


def beside_others(trial: Trial) -> str:
    """Say who computed beside a trial, where that is worth knowing; else nothing."""
    others_pct = trial.measurement.others_cpu_pct if trial.measurement else None
    if others_pct is None or others_pct < CPU_PCT:
        return ""
    return f"; others kept the CPU {others_pct:.0f} % busy"


def mean_capacity(c: Configuration) -> str:
    """Return the mean capacity of a configuration, `≥` where a ramp never broke."""
    if c.has_no_good_rate:
        return NO_GOOD_RATE
    return f"{'≥ ' * c.is_lower_bound}{figure(CAPACITY).text(c.mean(CAPACITY))}"


def ladder_in_words(m: Measurement) -> str:
    """Write the rungs of a ladder of 0.1, in the order of its sessions.

    >>> ladder_in_words(Measurement(ladder=({"sessions": 8, "passed": True},)))
    '8 passed'
    """
    words = {True: "passed", False: "failed", None: "undecided"}
    rungs = sorted(m.ladder, key=lambda rung: int(rung["sessions"]))
    return ", ".join(f"{r['sessions']} {words[r.get('passed')]}" for r in rungs)
