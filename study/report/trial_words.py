"""Say in words what became of a trial or configuration. Pure."""

from __future__ import annotations

import re

from objectives.figures import CAPACITY, FITNESS, figure
from objectives.measurement import Measurement
from study.analysis.category import Category, category
from study.analysis.configurations import Configuration, ranked
from study.analysis.promotion_eligibility import broken_limits
from study.report.analysis_words import CATEGORY_WORDS
from study.report.answer import launches_in_words
from study.report.reasons import ineligible, over
from study.report.service_words import latencies_of
from study.report.summary import Summary
from study.storage.trials import Trial
from study.wording import number, short


def configurations_table(summary: Summary) -> str:
    """Tabulate every configuration in Markdown, best first."""
    decision, context = summary.decision, summary.context
    latencies = latencies_of(context)
    heads = (figure(name).head for name in (*latencies, CAPACITY))
    lines = [
        f"| configuration | fitness | launches | {' | '.join(heads)} | |",
        "|---" * (len(latencies) + 5) + "|",
    ]
    for c in ranked(summary.configurations):
        kind = category(c, decision)
        mark = CATEGORY_WORDS[kind]
        if kind is Category.WINNER:
            mark = f"**{mark}**{', rejected by fresh launches' * summary.is_rejected}"
        if kind is Category.OVER:
            mark += f": {', '.join(over(c.measured))}"
        elif c.measured and (why := decision.against(c.allocation)):
            mark += f": {ineligible(why)}"
        if c.failed:
            mark += f": {outcome_in_words(c.failed[-1])}"
        times = " | ".join(number(c.mean(name)) for name in latencies)
        lines.append(
            f"| {short(c.allocation)} | {FITNESS.text(c.fitness)} "
            f"| {launches_in_words(c) if c.measured else '-'} "
            f"| {times} | {mean_capacity(c)} | {mark} |"
        )
    return "\n".join(lines)


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
    if not trial.is_feasible:
        return "over: " + ", ".join(broken_limits([trial]))
    return (
        f"fitness {FITNESS.text(trial.fitness)}" if trial.fitness is not None else str(trial.state)
    )


def mean_capacity(c: Configuration) -> str:
    """Return the mean capacity of a configuration, `≥` where a ramp never broke."""
    return f"{'≥ ' * c.is_lower_bound}{number(c.mean(CAPACITY), 2)}"


def ladder_in_words(m: Measurement) -> str:
    """Write the rungs of a ladder of 0.1, in the order of its sessions.

    >>> ladder_in_words(Measurement(ladder=({"sessions": 8, "passed": True},)))
    '8 passed'
    """
    words = {True: "passed", False: "failed", None: "undecided"}
    rungs = sorted(m.ladder, key=lambda rung: int(rung["sessions"]))
    return ", ".join(f"{r['sessions']} {words[r.get('passed')]}" for r in rungs)
