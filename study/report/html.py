"""The report: one HTML file that says which configuration to run and how sure that is, to whoever never saw a study."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from objectives.errors import BadInput
from objectives.fitness import PRESETS
from objectives.plain_data.atomic import write_atomic
from study.analysis.category import Category
from study.analysis.configurations import Configuration
from study.analysis.eligibility import ineligibility
from study.analysis.interference import HEAD, by_share
from study.analysis.pareto import compared, pareto
from study.analysis.reweigh import answers, is_contested
from study.report import svg
from study.report.chart_data import bars, heat, memory, spots, turned
from study.report.comparison import comparison
from study.report.effects_table import influence
from study.report.reasons import held_back, over
from study.report.summary import Summary, how_sure, sentence, standing
from study.report.trial_words import limits, traffic, without_paths, wrapped
from study.text import without_secrets
from study.wording import FAILURES, failure_in_words, number, short


def write(told: Summary, path: Path) -> None:
    """The whole file or none of it.

    raises: BadInput where it cannot be written
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise BadInput(f"{path} is no file; name one with -o")
    try:
        write_atomic(path, html(told))
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}); name another with -o"
        ) from error


def html(told: Summary) -> str:
    """The report as one page that needs nothing else."""
    loader = FileSystemLoader(str(files("study") / "templates"))
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return pages.get_template("report.html").render(r=_content(told))


def _content(told: Summary) -> dict[str, Any]:
    asked, decision, found = told.context, told.decision, told.configurations
    shown = heat(found, decision, asked)
    today, other = told.today, told.other
    scores = [t.cell.fitness for t in shown.tiles.values() if t.cell.fitness is not None]
    title = f"How should {asked.device.product} be shared by an LLM and speech recognition?"
    own = f"preset {asked.fitness.preset}" if asked.fitness.weights is None else "its own weights"
    return {
        "title": title,
        "byline": f"study {told.study}, weighed by {own}; written {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "question": "How much of the device's memory should the LLM server get, and which speech model fits beside it, "
        "so that both answer fast, many can talk at once, and nothing runs out of memory?",
        "answer": sentence(told),
        "standing": f"{standing(told)[0].upper()}{standing(told)[1:]}.",
        "colour": svg.COLOURS[Category.WINNER if decision.winner else Category.BASELINE],
        "banner": f"The weights are those of the preset {told.preset}, not the study's own."
        if told.preset
        else "",
        "sure": how_sure(told),
        "confirmation": told.confirmation,
        "held_back": held_back(decision),
        "compared_title": "Today's against the winner"
        if decision.winner
        else "Today's against what came closest",
        "other": "winner"
        if decision.winner
        else "held back"
        if other and ineligibility(other, asked)
        else "closest",
        "names": [short(c.allocation) for c in (today, other) if c],
        "compared": comparison(today, other, found) if today and other else (),
        "commands": [
            (
                f"{name}, {short(c.allocation)}",
                wrapped(without_paths(without_secrets(str(command)))),
            )
            for c in (other or today,)
            if c
            for name, command in asked.commands(c.allocation).items()
        ],
        "heat": shown if len(shown.xs) <= len(shown.ys) else turned(shown),
        "compares": ", ".join(compared(found, asked)),
        "shade": lambda tile: svg.shade(tile, scores),
        **_pictures(told),
        "influence": influence([row for c in found for row in (*c.measured, *c.failed)]),
        "sharing_head": HEAD,
        "sharing": [s.texts() for s in by_share(told.measured)],
        "presets": _presets(told),
        "presets_say": _presets_say(told),
        "failures": [row for c in found for row in _failures(c)],
        "provenance": _provenance(told),
    }


def _pictures(told: Summary) -> dict[str, Any]:
    """SVG pictures, what their signs mean, and what there is none of."""
    asked, slo = told.context, told.context.slo
    seen, timed = spots(told.configurations, told.decision, asked), bars(told.trials)
    best = told.decision.winner or told.decision.baseline
    line = memory(best.measured[0] if best else None)
    shown: list[dict[str, Any]] = []
    if seen:
        limit = (slo.p95_ms["stt"], slo.p95_ms["llm"]) if slo else (None, None)
        for service, ms in zip(("speech", "LLM"), limit, strict=True):
            drawn = svg.tradeoff(seen, service, ms)
            shown.append(
                {
                    "title": f"{service}: 95 % answered within, ms",
                    "note": "",
                    "svg": drawn,
                    "legend": (),
                }
            )
    if timed:
        legend = [
            (p, c) for p, c in svg.PHASE_COLOURS.items() if any(p in b.seconds for b in timed)
        ]
        drawn = svg.phases(timed)
        shown.append(
            {"title": "Where the time went", "note": "every launch", "svg": drawn, "legend": legend}
        )
    if line is not None:
        drawn = svg.memory(line)
        shown.append({"title": "Memory in use", "note": line.label, "svg": drawn, "legend": ()})
    kinds = [k for k in Category if k in {s.kind for s in seen}]
    box = '<svg viewBox="-11 -11 22 22" aria-hidden="true">{}</svg>'
    return {
        "pictures": shown,
        "marks": [
            (
                k,
                box.format(
                    svg.mark(k, 0, 0, is_filled=k not in (Category.OVER, Category.FAILED), title=k)
                ),
            )
            for k in kinds
        ],
        "not_shown": [
            *([] if seen else ["latency against capacity: nothing was measured to its end"]),
            *([] if timed else ["where the time went: no trial tells it"]),
            *([] if line else ["memory over time: it was not recorded"]),
        ],
    }


def _presets(told: Summary) -> list[tuple[str, ...]]:
    found = []
    for preset, decision in answers(told.trials, told.context).items():
        w, best = PRESETS[preset], decision.winner or decision.baseline
        choice = short(best.allocation) if best else "none"
        base = decision.baseline.fitness if decision.baseline else None
        weights = (f"{x:g}" for x in (w.stt, w.llm, w.capacity, w.stability, w.efficiency))
        choice += "" if decision.winner else " (as today)"
        scores = f"{number(best.fitness if best else None, 4)} / {number(base, 4)}"
        found.append((preset, choice, scores, *weights))
    return found


def _presets_say(told: Summary) -> str:
    if not is_contested(answers(told.trials, told.context)):
        return f"All of them choose the same{', which fresh launches rejected' if told.is_rejected else ''}."
    names = (
        ", ".join(short(c.allocation) for c in pareto(told.configurations, told.context)) or "none"
    )
    by = ", ".join(compared(told.configurations, told.context))
    return (
        f"They disagree, so it is for you to say what matters. Sensible whatever the weights (nothing else that may be "
        f"promoted is at least as good in all of {by}): {names}."
    )


def _failures(c: Configuration) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for r in c.failed:
        if (d := r.diagnosis) is not None:
            deficit = "" if d.deficit_mib is None else f", {d.deficit_mib:,.0f} MiB short"
            why = FAILURES.get(d.failure_class, ("", "a class this version does not know"))[1]
            found.append(
                (
                    short(c.allocation),
                    f"{failure_in_words(d.failure_class)}{deficit}: {why}",
                    d.evidence,
                )
            )
    return found + [
        (short(c.allocation), f"{Category.OVER}: {why}", "") for why in over(c.measured)
    ]


def _provenance(told: Summary) -> list[tuple[str, str]]:
    a = told.context
    own = [
        r.at for r in told.trials if not a.is_replay
    ]  # a replayed trial's own moment is that of the replay
    when = sorted(
        t for t in (*own, *(r.measurement.measured_at for r in told.trials if r.measurement)) if t
    )
    versions = ", ".join(f"{k} {v}" for k, v in (*a.versions.llm.items(), *a.versions.stt.items()))
    driver = f", driver {a.device.driver}, CUDA {a.device.cuda}" if a.device.driver else ""
    tenants = ", ".join(f"{t.name} ({t.held_mib(a.device.total_mib):,} MiB)" for t in a.tenants)
    weights: Mapping[str, float] = {
        k: getattr(a.fitness.effective_weights, k)
        for k in ("stt", "llm", "capacity", "stability", "efficiency")
    }
    return [
        ("measured", a.measured_elsewhere or "live, on the machine below"),
        ("device", f"{a.device.product}, {a.device.total_mib:,.0f} MiB{driver}"),
        ("versions", versions or "not told by the servers"),
        ("when", f"{when[0]} to {when[-1]}" if when else "not told"),
        ("traffic", traffic(a)),
        ("limits of a voice session", limits(a)),
        ("gates", f"at most {a.gates.wer_points:g} points more wrong words than today's, "
         f"{a.gates.free_memory_mib:g} MiB left free"),
        ("weights", ", ".join(f"{k} {v:g}" for k, v in weights.items())),
        ("also on the device", tenants or "nothing of the study's own"),
        ("search", f"{told.sampler}; {sum(r.repeat_of is None for r in told.trials)} launches"),
        ("spec", f"{a.spec_file}, SHA-256 {a.spec_sha256}"),
        ("code", f"commit {a.git_commit}" if a.git_commit else "not in a git checkout"),
    ]  # fmt: skip
