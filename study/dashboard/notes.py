"""The notes of a study and of each trial in optuna-dashboard, as Markdown. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from objectives.allocation import Allocation
from objectives.figures import SHOWN
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from study.analysis.configurations import Cell, of
from study.analysis.decision import OVER, Decision, kind, obstacle
from study.analysis.eligibility import over
from study.analysis.pareto import compared, pareto
from study.report.answer import held_back
from study.report.summary import Case, fresh, sentence, standing
from study.report.trial_words import limits, outcome, sessions, table, traffic, wrapped
from study.storage.context import StudyContext
from study.storage.trials import Row
from study.text import one_line, without_secrets
from study.wording import FAILURES, SERVICES, WORD_GATES, allocation_in_words, number, short

LINE = 88  # characters: the dashboard grows as wide as the longest line
HOW_TO_READ = """\
## How to read these pages

- **Trust this note and our own plots.** optuna-dashboard knows neither our gates nor Optuna 5's constraints: opened
  without `scripts/dashboard.py` it may call a trial "best" that ran over a limit or whose words got worse.
- **Fitness** is one number from 0 to 1, larger is better: the weighed sum of speech latency, LLM latency, capacity,
  stability and efficiency, relative to the allocation in use today.
- **Pruned** trials do not work on this device, most of them for want of memory; their value 0 is no measurement.
- Each trial's own note has the servers' commands, the memory arithmetic and, where it failed, the line of the log that
  proves it; its logs, metrics and memory by second are its artifacts.
- Our plots are on the first page, below "Timeline": the space, latency against capacity, time by phase, the
  tournament's lineage, memory over time. Optuna's contour interpolates between the few points of a table: do not
  read it.
"""


def study_note(told: Case, unread: Sequence[str], missing: Sequence[str]) -> str:
    """The question, the answer, where and with what, every configuration, and how to read the pages.

    unread: confirmations that count for nothing, and why; missing: what could not be drawn, a sentence each
    """
    asked, found, decision = told.asked, told.cells, told.decision
    d = asked.device
    versions = ", ".join(
        f"{k} {v}" for k, v in (*asked.versions.llm.items(), *asked.versions.stt.items())
    )
    lines = [
        f"# How should {d.product} be shared?",
        "How much memory should the LLM server get, and which speech model fits beside it?",
        f"**Answer: {sentence(told)}** ({standing(told)})",
        f"{'What won the study' if told.is_rejected else 'Why'}: {decision.reason}.",
        *([fresh(told.confirmation)] if told.confirmation else []),
        *(f"**A confirmation was not counted**: {one_line(why)}." for why in unread),
        *(f"- held back: {which}" for which in held_back(found, decision)),
        HOW_TO_READ,
        "## Every configuration",
        table(told),
        f"Sensible choices whatever the weights (Pareto set by {', '.join(compared(found, asked)) or 'nothing'}): "
        + (", ".join(short(c.allocation) for c in pareto(found, asked)) or "none")
        + ".",
        "## Where and with what",
        f"- {'**Not measured on this machine**: ' + asked.measured_elsewhere if asked.measured_elsewhere else 'live'}",
        f"- device: {d.product}, {d.total_mib:,.0f} MiB"
        + (f", driver {d.driver}, CUDA {d.cuda}" if d.driver else ""),
        f"- versions: {versions or 'not told by the servers'}",
        f"- workload: {traffic(asked)}",
        f"- limits of a session: {limits(asked)}",
        f"- in use today: {asked.baseline}",
        f"- sampler: {told.sampler}",
        *(f"- not here: {what}" for what in missing),
    ]
    return _joined(lines)


def trial_note(r: Row, found: Sequence[Cell], decision: Decision, asked: StudyContext) -> str:
    """What ran, the servers' commands, the memory arithmetic, what came of it, and the proof of a failure."""
    if r.repeat_of is not None:
        return f"Nothing was launched: told the result of trial {r.repeat_of}, which measured {r.allocation}."
    cell = of(r.allocation, found)
    what = kind(cell, decision, asked) if cell else r.status
    lines = [
        f"# {short(r.allocation)}",
        f"**{what}**: {outcome(r)}",
        f"{allocation_in_words(r.allocation)}.",
    ]
    if cell and (why := obstacle(cell, decision, asked)):
        lines.append(f"Held back, whatever its score: {why}.")
    lines += [f"- {OVER}: {why}" for why in over([r] if r.measurement else [])]
    if r.diagnosis is not None:
        d = r.diagnosis
        short_mib = "an unknown amount" if d.deficit_mib is None else f"{d.deficit_mib:,.0f} MiB"
        victim = SERVICES.get(d.victim, d.victim or "-")
        lines += [
            "## What failed",
            f"- `{d.failure_class}`: {FAILURES.get(d.failure_class, ('', 'a class this version does not know'))[1]}",
            f"- {victim}, phase: {d.phase or 'not told'}, short by {short_mib}",
            f"```\n{textwrap.fill(d.evidence.replace('```', ''), LINE)}\n```",
        ]
    if r.measurement is not None:
        lines += ["## What was measured", _figures(r, r.measurement), _contributions(r)]
        lines.append(f"Words: {WORD_GATES.get(r.word_gate, r.word_gate)}.")
    for name, c in asked.commands(r.allocation).items():
        lines += [
            f"## The {SERVICES[name]}'s command",
            f"```\n{wrapped(without_secrets(str(c)))}\n```",
        ]
    estimate = arithmetic(r.allocation, found, asked)
    is_wrong = r.diagnosis is not None and estimate.startswith("`fits`")
    lines += [
        "## Memory arithmetic",
        estimate + is_wrong * " This is an estimate: it failed all the same.",
    ]
    took = (
        f"It took {r.wall_s:,.0f} s where it was measured"
        if r.wall_s
        else "How long it took was not measured"
    )
    at = (r.measurement.measured_at if r.measurement else None) or (
        None if asked.is_replay else r.at
    )
    lines.append(f"{took}; seed {r.seed}{f'; {at}' if at else ''}.")
    return _joined(lines)


def arithmetic(allocation: Allocation, found: Sequence[Cell], asked: StudyContext) -> str:
    """The sum before a launch, by the figures of the whole study."""
    known = [
        (c.allocation, r.measurement)
        for c in found
        for r in c.measured
        if r.measurement is not None
    ]
    held = (asked.held_mib or 0.0) + asked.tenants_mib
    verdict = memory_budget.check(
        allocation,
        memory_budget.figures(known),
        total_mib=asked.device.total_mib,
        tenants_mib=held,
        reserve_mib=asked.reserve_mib,
    )
    beside = "" if asked.held_mib is not None else " What else was on the device was not recorded."
    return f"`{verdict.fits}`: {verdict.explanation}.{beside}"


def _figures(r: Row, m: Measurement) -> str:
    lines = ["| | |", "|---|---|"]
    for name, f in SHOWN.items():
        value = sessions(r) if name == "concurrent_capacity" else number(getattr(m, name), f.digits)
        lines.append(f"| {f.title} | {'not measured' if value == '-' else f'{value} {f.unit}'} |")
    if m.concurrent_capacity is not None or m.capacity_bound_by:
        lines.append(f"| what bounds the sessions | {m.capacity_bound_by or 'not told'} |")
    return "\n".join(lines)


def _contributions(r: Row) -> str:
    parts = ", ".join(
        f"{k} {'not measured' if v is None else f'{v:.4f}'}" for k, v in r.contributions.items()
    )
    return f"Fitness {number(r.fitness, 4)} = {parts}"


def _joined(lines: Sequence[str]) -> str:
    """Paragraphs apart, items of a list together."""
    text = ""
    for before, line in zip(("", *lines), lines, strict=False):
        text += ("\n" if before.startswith("- ") and line.startswith("- ") else "\n\n") + line
    return text.strip() + "\n"
