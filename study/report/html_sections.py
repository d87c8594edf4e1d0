"""This module fills the report's longer sections: pictures, presets, failures, provenance; pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Any

from objectives.engines.registry import apis_of
from objectives.figures import FITNESS, flat_name
from objectives.fitness import PRESETS, Preset
from study.analysis.category import Category
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.analysis.pareto import compared_figures, pareto
from study.analysis.reweigh import card_scales, is_contested
from study.report.analysis_words import CATEGORY_WORDS, pareto_figures_in_words
from study.report.charts import svg
from study.report.charts.data import bars, latency_title, launches_drawn, memory_use, spots
from study.report.charts.marks import phase_colours
from study.report.effects.card_words import cards_in_words
from study.report.reasons import over
from study.report.service_words import limits_in_words, traffic_in_words
from study.report.summary import Summary
from study.wording.allocations import short
from study.wording.failures import FAILURES, failure_in_words


def pictures(summary: Summary) -> dict[str, Any]:
    """Return SVG pictures, what their signs mean, and which pictures there are none of."""
    context = summary.context
    points = spots(summary.configurations, summary.decision, context)
    services = apis_of(context.services)
    timed = bars(summary.trials, services)
    best = summary.decision.winner or summary.decision.baseline
    memory = memory_use(best.measured[0] if best else None)
    figures: list[dict[str, Any]] = []
    if points:
        for service in points[0].p95_ms:
            limit_ms = context.limits.get(flat_name(service, "latency_p95_ms"))
            drawing = svg.latency_chart(points, service, limit_ms)
            figures.append(_figure(f"{latency_title(service)}, ms", drawing))
    if timed:
        phases = {phase for b in timed for phase in b.seconds}
        colours = phase_colours(services)
        legend = tuple((p, colour) for p, colour in colours.items() if p in phases)
        title = "Where the time went"
        drawing = svg.phases_chart(timed, colours)
        figures.append(_figure(title, drawing, note=launches_drawn(timed), legend=legend))
    if memory is not None:
        figures.append(_figure("Memory in use", svg.memory_chart(memory), note=memory.label))
    present = {s.category for s in points}
    return {
        "pictures": figures,
        "marks": [(CATEGORY_WORDS[c], _sign(c)) for c in Category if c in present],
        "not_shown": [
            *([] if points else ["latency against capacity: nothing was measured to its end"]),
            *([] if timed else ["where the time went: no trial tells it"]),
            *([] if memory else ["memory over time: it was not recorded"]),
        ],
    }


def _figure(
    title: str, drawing: str, *, note: str = "", legend: tuple[tuple[str, str], ...] = ()
) -> dict[str, Any]:
    return {"title": title, "note": note, "svg": drawing, "legend": legend}


def _sign(category: Category) -> str:
    """Return the sign of a category as a picture of its own, for the legend."""
    is_filled = category not in (Category.OVER, Category.FAILED)
    drawing = svg.mark(category, 0, 0, is_filled=is_filled, title=CATEGORY_WORDS[category])
    return f'<svg viewBox="-11 -11 22 22" aria-hidden="true">{drawing}</svg>'


def presets(decisions: Mapping[Preset, Decision]) -> list[tuple[str, ...]]:
    """Return a row for each preset: its choice, the fitness of that and of today's, its weights."""
    rows = []
    for preset, decision in decisions.items():
        w, best = PRESETS[preset], decision.winner or decision.baseline
        choice = short(best.allocation) if best else "none"
        base = decision.reference.fitness if decision.reference else None
        weights = (f"{weight:g}" for weight in w.values())
        choice += " (as today)" if best and not decision.winner else ""
        scores = f"{FITNESS.text(best.fitness if best else None)} / {FITNESS.text(base)}"
        rows.append((preset, choice, scores, *weights))
    return rows


def presets_verdict(summary: Summary, decisions: Mapping[Preset, Decision]) -> str:
    """Say whether the presets agree, and if not what is sensible whatever the weights."""
    context, launched = summary.context, summary.configurations
    if not any(decision.winner or decision.baseline for decision in decisions.values()):
        return "None of them has anything to choose from."
    if not is_contested(decisions):
        rejected = ", which fresh launches rejected" if summary.is_rejected else ""
        return f"All of them choose the same{rejected}."
    names = ", ".join(short(c.allocation) for c in pareto(launched, context)) or "none"
    by = pareto_figures_in_words(compared_figures(launched, context))
    return (
        "They disagree, so it is for you to say what matters. Sensible whatever the weights "
        f"(nothing else that may be promoted is at least as good in all of {by}): {names}."
    )


def failure_rows(configuration: Configuration) -> list[tuple[str, str, str]]:
    """Return a row for each failure and broken limit: what, why, and the line that proves it."""
    name = short(configuration.allocation)
    rows: list[tuple[str, str, str]] = []
    for trial in configuration.failed:
        if (d := trial.diagnosis) is not None:
            deficit = "" if d.deficit_mib is None else f", {d.deficit_mib:,.0f} MiB short"
            why = FAILURES.get(d.failure_class, ("", "a class this version does not know"))[1]
            rows.append((name, f"{failure_in_words(d.failure_class)}{deficit}: {why}", d.evidence))
    return rows + [
        (name, f"{CATEGORY_WORDS[Category.OVER]}: {why}", "")
        for why in over(configuration.measured)
    ]


def provenance_rows(summary: Summary) -> list[tuple[str, str]]:
    """Return where the figures come from, as pairs of a name and a text."""
    context, trials = summary.context, summary.trials
    device, gates, weights = context.device, context.gates, context.fitness.effective_weights
    moments = [t.measurement.measured_at for t in trials if t.measurement]
    if not context.is_replay:  # a replayed trial's own moment is that of the replay
        moments += [t.at for t in trials]
    when = sorted(moment for moment in moments if moment)
    servers = chain.from_iterable(x.items() for x in context.versions.values())
    tenants = [f"{t.name} ({t.held_mib(device.total_mib):,} MiB)" for t in context.tenants]
    launches = sum(t.repeat_of is None for t in trials)
    whose = "today's" if context.has_today else "what was tried first"
    words = f"at most {gates.wer_points:g} points more wrong words than {whose}"
    return [
        ("measured", context.measured_elsewhere or "live, on the machine below"),
        ("device", f"{device.product}, {device.total_mib:,.0f} MiB{device.software}"),
        *(("card", line) for line in cards_in_words(card_scales(trials, context).effects())),
        ("versions", ", ".join(f"{k} {v}" for k, v in servers) or "not told by the servers"),
        ("when", f"{when[0]} to {when[-1]}" if when else "not told"),
        ("traffic", traffic_in_words(context)),
        ("limits of a turn", limits_in_words(context)),
        ("gates", f"{words}, {gates.free_memory_mib:g} MiB left free"),
        ("weights", ", ".join(f"{term} {weight:g}" for term, weight in weights.items())),
        ("also on the device", ", ".join(tenants) or "nothing of the study's own"),
        ("search", f"{summary.sampler}; {launches} launches"),
        ("spec", f"{context.spec_file}, SHA-256 {context.spec_sha256}"),
        ("code", f"commit {context.git_commit}" if context.git_commit else "not in a git checkout"),
    ]
