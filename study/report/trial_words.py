"""NEW MODULE."""

from __future__ import annotations

import re

from study.analysis.configurations import launches
from study.analysis.decision import OVER, WINNER, kind, obstacle
from study.analysis.eligibility import over
from study.report.summary import Case
from study.storage.context import StudyContext
from study.storage.trials import Trial
from study.wording import number, short


def traffic(asked: StudyContext) -> str:
    """What is sent to both servers in every launch."""
    w = asked.workload
    return (
        f"{w.window_s:g} s, the same in every launch (seed {w.seed}): {w.llm_per_s:g} LLM requests a second "
        f"in bursts of {w.llm_burst}, {w.prompt_tokens[0]} to {w.prompt_tokens[1]} tokens in, {w.output_tokens} out; "
        f"{w.stt_per_s:g} spoken clips a second"
    )


def limits(asked: StudyContext) -> str:
    """The p95 limits of the capacity ladder."""
    slo = asked.slo
    if slo is None:
        return "not recorded" if asked.is_replay else "not fixed yet: they follow from the baseline"
    speech = f"95 % of the speech replies within {slo.stt_p95_ms:,.0f} ms"
    return f"{speech} and of the LLM's within {slo.llm_p95_ms:,.0f} ms"


def table(told: Case) -> str:
    """Every configuration, best first."""
    found, decision, asked = told.cells, told.decision, told.asked
    lines = [
        "| configuration | fitness | launches | speech p95 ms | LLM p95 ms | sessions | |",
        "|---|---|---|---|---|---|---|",
    ]
    for c in sorted(found, key=lambda c: (not c.is_feasible, -(c.fitness or 0.0))):
        bound = "≥ " if c.is_lower_bound else ""
        what = kind(c, decision, asked)
        mark = (
            f"**{what}**{', rejected by fresh launches' * told.is_rejected}"
            if what == WINNER
            else what
        )
        if what == OVER:
            mark += f": {', '.join(over(c.measured))}"
        elif why := obstacle(c, decision, asked):
            mark += f": {why}"
        if c.failed:
            mark += f": {outcome(c.failed[-1])}"
        lines.append(
            f"| {short(c.allocation)} | {number(c.fitness, 4)} | {launches(c) if c.measured else '-'} "
            f"| {number(c.mean('stt_latency_p95_ms'))} | {number(c.mean('llm_latency_p95_ms'))} "
            f"| {bound}{number(c.mean('concurrent_capacity'))} | {mark} |"
        )
    return "\n".join(lines)


def without_paths(command: str) -> str:
    """A command line without the folders of the machine it ran on.

    >>> without_paths("/home/me/venv/bin/python -m serve --model /models/llm")
    'python -m serve --model llm'
    """
    return re.sub(r"(?<=[ =])/\S*/|^/\S*/", "", command)


def wrapped(command: str) -> str:
    """A command line with a line for each of its options, to be pasted into a shell.

    >>> print(wrapped("python -m serve --port 80 --eager"))
    python -m serve \\
      --port 80 \\
      --eager
    """
    return command.replace(" --", " \\\n  --")


def outcome(row: Trial) -> str:
    """One phrase for what became of a trial."""
    if row.repeat_of is not None:
        return f"repeat of trial {row.repeat_of}"
    if row.diagnosis is not None:
        deficit = (
            f", {row.diagnosis.deficit_mib:,.0f} MiB short" if row.diagnosis.deficit_mib else ""
        )
        return f"{row.status}: {row.diagnosis.failure_class}{deficit}"
    if not row.is_feasible:
        return "over: " + ", ".join(k for k, v in row.constraints.items() if v > 0)
    return f"fitness {row.fitness:.4f}" if row.fitness is not None else row.status


def sessions(row: Trial) -> str:
    """Capacity with `>=` where the ladder ended before the answer was known."""
    m = row.measurement
    if m is None or m.concurrent_capacity is None:
        return "-"
    return f"{'>= ' if m.capacity_is_lower_bound else ''}{m.concurrent_capacity}"
