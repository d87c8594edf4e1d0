"""Say in words what became of a trial or configuration, and what both services were sent. Pure."""

from __future__ import annotations

import re

from objectives.figures import FITNESS
from study.analysis.category import Category, category, obstacle
from study.report.analysis_words import CATEGORY_WORDS
from study.report.answer import launches_in_words
from study.report.reasons import ineligible, over
from study.report.summary import Summary
from study.storage.context import StudyContext
from study.storage.trials import Trial
from study.wording import number, short


def traffic_in_words(context: StudyContext) -> str:
    """Say what is sent to both servers in every launch."""
    w = context.workload
    return (
        f"{w.window_s:g} s, the same in every launch (seed {w.seed}): "
        f"{w.llm_per_s:g} LLM requests a second in bursts of {w.llm_burst}, "
        f"{w.prompt_tokens[0]} to {w.prompt_tokens[1]} tokens in, {w.output_tokens} out; "
        f"{w.stt_per_s:g} spoken clips a second"
    )


def limits_in_words(context: StudyContext) -> str:
    """Say the p95 limits of the capacity ladder."""
    slo = context.slo
    if slo is None:
        is_replay = context.is_replay
        return "not recorded" if is_replay else "not fixed yet: they follow from the baseline"
    speech = f"95 % of the speech replies within {slo.p95_ms['stt']:,.0f} ms"
    return f"{speech} and of the LLM's within {slo.p95_ms['llm']:,.0f} ms"


def configurations_table(summary: Summary) -> str:
    """Tabulate every configuration in Markdown, best first."""
    decision, context = summary.decision, summary.context
    lines = [
        "| configuration | fitness | launches | speech p95 ms | LLM p95 ms | sessions | |",
        "|---|---|---|---|---|---|---|",
    ]
    ranked = sorted(summary.configurations, key=lambda c: (not c.is_feasible, -(c.fitness or 0.0)))
    for c in ranked:
        kind = category(c, decision, context)
        mark = CATEGORY_WORDS[kind]
        if kind is Category.WINNER:
            mark = f"**{mark}**{', rejected by fresh launches' * summary.is_rejected}"
        if kind is Category.OVER:
            mark += f": {', '.join(over(c.measured))}"
        elif c.measured and (why := obstacle(c, decision, context)):
            mark += f": {ineligible(why)}"
        if c.failed:
            mark += f": {outcome_in_words(c.failed[-1])}"
        lines.append(
            f"| {short(c.allocation)} | {FITNESS.text(c.fitness)} "
            f"| {launches_in_words(c) if c.measured else '-'} "
            f"| {number(c.mean('stt_latency_p95_ms'))} | {number(c.mean('llm_latency_p95_ms'))} "
            f"| {'≥ ' * c.is_lower_bound}{number(c.mean('concurrent_capacity'))} | {mark} |"
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
        return "over: " + ", ".join(k for k, v in trial.constraints.items() if v > 0)
    return (
        f"fitness {FITNESS.text(trial.fitness)}" if trial.fitness is not None else str(trial.state)
    )


def sessions_in_words(trial: Trial) -> str:
    """Write the sessions, with `>=` where the ladder ended before the limit was known."""
    m = trial.measurement
    if m is None or m.concurrent_capacity is None:
        return "-"
    return f"{'>= ' if m.capacity_is_lower_bound else ''}{m.concurrent_capacity}"
