"""This module writes the notes of a study and of each trial as Markdown; pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from itertools import chain

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.engines.registry import apis_of, engines_of
from objectives.figures import CAPACITY, FITNESS, figures_of, shown
from objectives.fit.fits import Fits
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from study.analysis.category import Category, category
from study.analysis.compare import OF_RAMPS
from study.analysis.configurations import Configuration
from study.analysis.pareto import compared_figures, pareto
from study.report.analysis_words import CATEGORY_WORDS, pareto_figures_in_words
from study.report.headline import answer_lines, sentence, standing
from study.report.reasons import held_back, ineligible, over
from study.report.service_words import limits_in_words, traffic_in_words
from study.report.summary import Summary
from study.report.trial_words import (
    configurations_table,
    ladder_in_words,
    outcome_in_words,
    wrapped,
)
from study.storage.context import StudyContext
from study.storage.trial import Trial
from study.text import one_line
from study.wording.allocations import allocation_in_words, short
from study.wording.failures import (
    FAILURES,
    NO_GOOD_RATE,
    WORD_GATES,
    server_in_words,
    victim_in_words,
)

Starts = dict[tuple[str | None, ...], memory_budget.StartFigures]  # by the memory keys of services
MOST_ROWS = 100  # of the table of configurations
LINE = 88  # characters: the dashboard grows as wide as the longest line
HOW_TO_READ = """\
## How to read these pages

- **Trust this note and our own plots.** optuna-dashboard knows neither our gates nor Optuna 5's \
constraints: opened
  without `scripts/dashboard.py` it may call a trial "best" that ran over a limit or whose words \
got worse.
- **Fitness** is one number from 0 to 1, larger is better: the weighed sum of speech latency, LLM \
latency, capacity,
  stability and efficiency, relative to the allocation in use today.
- **Pruned** trials do not work on this device, most of them for want of memory, and have no \
value. One
  with `pruned: dominated` works, and was given up in the middle: its value is the most that its \
fitness could
  have become, which is less than the best has.
- Each trial's own note has the servers' commands, the memory arithmetic and, where it failed, \
the line of the log that
  proves it; its logs, metrics and memory by second are its artifacts.
- Our plots are on the first page, below "Timeline": the space, latency against capacity, time by \
phase, the
  tournament's lineage, memory over time, and of several cards what each measured when. Optuna's \
contour
  interpolates between the few points of a table: do not read it.
"""


def study_note(summary: Summary, unread: Sequence[str], missing: Sequence[str]) -> str:
    """Write down the question, the answer, its source, every configuration, and how to read it.

    Args:
        unread: Confirmations that count for nothing, and why.
        missing: What could not be drawn, a sentence each.
    """
    context, launched, decision = summary.context, summary.configurations, summary.decision
    device, versions = context.device, context.versions
    packages = ", ".join(
        f"{k} {v}" for k, v in chain.from_iterable(x.items() for x in versions.values())
    )
    elsewhere = context.measured_elsewhere
    objectives = pareto_figures_in_words(compared_figures(launched, context)) or "nothing"
    sensible = ", ".join(short(c.allocation) for c in pareto(launched, context)) or "none"
    lines = [
        f"# How should {device.product} be shared?",
        "How much memory should the LLM server get, and which speech model fits beside it?",
        f"**Answer: {sentence(summary)}** ({standing(summary)})",
        *(f"- {line}" for line in answer_lines(summary)),
        *(f"**A confirmation was not counted**: {one_line(reason)}." for reason in unread),
        *(f"- held back: {line}" for line in held_back(decision)),
        HOW_TO_READ,
        "## Every configuration",
        configurations_table(summary, MOST_ROWS),
        f"Sensible choices whatever the weights (Pareto set by {objectives}): {sensible}.",
        "## Where and with what",
        f"- {f'**Not measured on this machine**: {elsewhere}' if elsewhere else 'live'}",
        f"- device: {device.product}, {device.total_mib:,.0f} MiB{device.software}",
        f"- versions: {packages or 'not told by the servers'}",
        f"- workload: {traffic_in_words(context)}",
        f"- limits of a turn: {limits_in_words(context)}",
        f"- {'in use today' if context.has_today else 'tried first'}: {context.baseline}",
        f"- sampler: {summary.sampler}",
        *(f"- not here: {what}" for what in missing),
    ]
    return _joined(lines)


def basis_of_note(
    trial: Trial, configuration: Configuration | None, summary: Summary
) -> tuple[object, ...]:
    """Return what of a study can change in the note of a trial that has ended."""
    decision = summary.decision
    kind = category(configuration, decision) if configuration else None
    return trial.state, trial.fitness, trial.word_gate, kind, decision.against(trial.allocation)


def trial_note(
    trial: Trial,
    configuration: Configuration | None,
    summary: Summary,
    starts: Starts | None = None,
) -> str:
    """Write down what ran, the servers' commands, the memory arithmetic, the outcome, its proof.

    Args:
        trial: The trial.
        configuration: All launches of its allocation; None where it is none.
        summary: The study.
        starts: What starts have shown, for all notes of one study; what is missing is added.
    """
    if trial.repeat_of is not None:
        first = f"told the result of trial {trial.repeat_of}, which measured {trial.allocation}"
        return f"Nothing was launched: {first}."
    context, decision = summary.context, summary.decision
    kind: str = trial.state
    if configuration:
        kind = CATEGORY_WORDS[category(configuration, decision)]
    lines = [
        f"# {short(trial.allocation)}",
        f"**{kind}**: {outcome_in_words(trial)}",
        f"{allocation_in_words(trial.allocation)}.",
    ]
    if configuration and (reason := decision.against(trial.allocation)):
        lines.append(f"Held back, whatever its score: {ineligible(reason)}.")
    lines += [
        f"- {CATEGORY_WORDS[Category.OVER]}: {limit}"
        for limit in over([trial] if trial.measurement else [])
    ]
    if trial.diagnosis is not None:
        lines += _failure(trial.diagnosis)
    if trial.measurement is not None:
        figures = _figures(trial.measurement, apis_of(context.services))
        lines += ["## What was measured", figures, _contributions(trial)]
        lines.append(f"Words: {WORD_GATES[trial.word_gate]}.")
    for name, c in context.commands(trial.allocation).items():
        command = wrapped(str(c))
        lines += [f"## The {server_in_words(name)}'s command", f"```\n{command}\n```"]
    verdict = arithmetic(trial.allocation, summary, {} if starts is None else starts)
    is_wrong = trial.diagnosis is not None and verdict.fits is Fits.FITS
    beside = " What else was on the device was not recorded." if context.held_mib is None else ""
    wrong = " This is an estimate: it failed all the same." if is_wrong else ""
    estimate = f"`{verdict.fits}`: {verdict.explanation}.{beside}{wrong}"
    known = "## Memory arithmetic, by what was measured when this was written"
    return _joined([*lines, known, estimate, _when(trial, context)])


def _failure(d: Diagnosis) -> list[str]:
    unknown = ("", "a class this version does not know")
    short_mib = "an unknown amount" if d.deficit_mib is None else f"{d.deficit_mib:,.0f} MiB"
    victim = victim_in_words(d.blamed)
    evidence = textwrap.fill(d.evidence.replace("```", ""), LINE)
    return [
        "## What failed",
        f"- `{d.failure_class}`: {FAILURES.get(d.failure_class, unknown)[1]}",
        f"- {victim}, phase: {d.phase or 'not told'}, short by {short_mib}",
        f"```\n{evidence}\n```",
    ]


def _when(trial: Trial, context: StudyContext) -> str:
    """Say how long it took, its seed and its moment; a replayed trial's own moment says nothing."""
    took = "How long it took was not measured"
    if trial.wall_s:
        took = f"It took {trial.wall_s:,.0f} s where it was measured"
    measured_at = trial.measurement.measured_at if trial.measurement else None
    at = measured_at or (None if context.is_replay else trial.at)
    return f"{took}; seed {trial.seed}{f'; {at}' if at else ''}."


def arithmetic(
    allocation: Allocation, summary: Summary, starts: Starts
) -> memory_budget.Prediction:
    """Add up the memory as before a launch, by the figures of the whole study."""
    context = summary.context
    engines = engines_of(context.services)
    key = tuple(engine.memory_key(allocation) for engine in engines)
    if key not in starts:
        starts[key] = memory_budget.figures(allocation, summary.measured, engines)
    return memory_budget.check(
        allocation,
        starts[key],
        total_mib=context.device.total_mib,
        tenants_mib=(context.held_mib or 0.0) + context.tenants_mib,
        reserve_mib=context.reserve_mib,
    )


def _figures(m: Measurement, apis: Mapping[str, str]) -> str:
    """Tabulate the figures of a trial that people ask for."""
    lines = ["| | |", "|---|---|"]
    for name, f in shown(figures_of(apis)).items():
        value = m.figure(name)
        is_bound = name == CAPACITY and m.capacity_is_lower_bound
        text = f"{'>= ' * is_bound}{f.text(value)} {f.unit}"
        if value is None:
            text = NO_GOOD_RATE if name in OF_RAMPS and m.capacity_or_0 == 0 else "not measured"
        lines.append(f"| {f.title} | {text} |")
    if m.capacity_bound_by:
        lines.append(f"| what bounds the capacity | {m.capacity_bound_by} |")
    if m.ladder:
        lines.append(f"| voice sessions, by the ladder of 0.1 | {ladder_in_words(m)} |")
    return "\n".join(lines)


def _contributions(trial: Trial) -> str:
    """Write the fitness as the sum of its terms."""
    parts = ", ".join(
        f"{k} {'not measured' if v is None else FITNESS.text(v)}"
        for k, v in trial.contributions.items()
    )
    return f"Fitness {FITNESS.text(trial.fitness)} = {parts}"


def _joined(lines: Sequence[str]) -> str:
    """Join lines: paragraphs apart, items of a list together."""
    text = ""
    for before, line in zip(("", *lines), lines, strict=False):
        text += ("\n" if before.startswith("- ") and line.startswith("- ") else "\n\n") + line
    return text.strip() + "\n"
