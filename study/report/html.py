"""The report is one HTML file that tells a stranger what to run, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from objectives.engines.registry import apis_of
from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.analysis.category import Category
from study.analysis.cost.interference import by_share
from study.analysis.pareto import compared_figures
from study.analysis.reweigh import preset_decisions
from study.report.analysis_words import pareto_figures_in_words, share_table
from study.report.charts.marks import CATEGORY_COLOURS
from study.report.charts.space_picture import picture
from study.report.comparison import against_today
from study.report.effects.table import influence
from study.report.headline import answer_lines, how_sure, sentence, standing
from study.report.html_sections import (
    failure_rows,
    pictures,
    presets,
    presets_verdict,
    provenance_rows,
)
from study.report.reasons import held_back
from study.report.service_words import limits_in_words, sharers
from study.report.summary import Summary
from study.report.trial_words import configuration_rows, without_paths, wrapped
from study.spec.choices import effect_figures
from study.wording.allocations import short

QUESTION = (
    "How much of the device's memory should the LLM server get, and which speech model fits beside "
    "it, so that both answer fast, many can talk at once, and nothing runs out of memory?"
)


def write_page(text: str, path: Path) -> None:
    """Write a whole page, or nothing.

    Raises:
        BadInput: It cannot be written.
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise BadInput(f"{path} is no file; name one with -o")
    try:
        write_atomic(path, text)
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}); name another with -o"
        ) from error


def html(summary: Summary, links: Sequence[tuple[str, str]] = (), remark: str = "") -> str:
    """Return the report as one page that needs nothing else.

    Args:
        summary: The study.
        links: Where a page that is served leads, as names and addresses; a file leads nowhere.
        remark: What is said of a study that still runs; such a page loads itself anew.
    """
    return page("report.html", {**_content(summary), "links": links, "remark": remark})


def page(template: str, content: Mapping[str, Any]) -> str:
    """Fill a template of this project; whatever logs and studies say is escaped."""
    loader = FileSystemLoader(str(files("study") / "templates"))
    pages = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return pages.get_template(template).render(r=content)


def _content(summary: Summary) -> dict[str, Any]:
    """Collect what the template asks for, by its names."""
    context, decision, launched = summary.context, summary.decision, summary.configurations
    confidence = standing(summary)
    heads, rows = configuration_rows(summary)
    by_preset = preset_decisions(summary.trials, context, decision)
    sharing_head, sharing = share_table(by_share(summary.measured))
    return {
        "title": f"How should {context.device.product} be shared by {sharers(context)}?",
        "byline": _byline(summary),
        "question": QUESTION,
        "answer": sentence(summary),
        "standing": f"{confidence[0].upper()}{confidence[1:]}.",
        "colour": CATEGORY_COLOURS[Category.WINNER if decision.winner else Category.BASELINE],
        "banners": _banners(summary),
        "reasons": answer_lines(summary),
        "space": picture(summary, is_inline=True),
        "notes": how_sure(summary),
        "confirmation": summary.confirmation,
        "held_back": held_back(decision),
        "compared": against_today(summary),
        "names": _names(summary),
        "commands": _commands(summary),
        "every_head": heads,
        "every": rows,
        "compares": pareto_figures_in_words(compared_figures(launched, context)),
        **pictures(summary),
        "influence": influence(
            [t for c in launched for t in (*c.measured, *c.failed)],
            effect_figures(apis_of(context.services)),
        ),
        "sharing_head": sharing_head,
        "sharing": sharing,
        "presets": presets(by_preset),
        "presets_say": presets_verdict(summary, by_preset),
        "failures": [row for c in launched for row in failure_rows(c)],
        "provenance": provenance_rows(summary),
    }


def _banners(summary: Summary) -> list[str]:
    """Say which weights and limits are not the study's own."""
    banners = []
    if summary.preset:
        banners.append(
            f"The weights are those of the preset {summary.preset}, not the study's own."
        )
    if summary.other_limits:
        banners.append(
            f"The limits are not the study's own: {limits_in_words(summary.context)}. Goodput, "
            f"capacity and fitness follow from the kept replies{_unjudged(summary)}."
            + (" Fresh launches were judged under its own." if summary.confirmation else "")
        )
    return banners


def _unjudged(summary: Summary) -> str:
    launches = sum(len(c.measured) for c in summary.configurations)
    if not summary.unjudged:
        return f" of all {launches} launches"
    return (
        f"; those of {summary.unjudged} of {launches} launches were not found, so their goodput "
        "and capacity are not known"
    )


def _byline(summary: Summary) -> str:
    fitness = summary.context.fitness
    weights = f"preset {fitness.preset}" if fitness.weights is None else "its own weights"
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    return f"study {summary.study}, weighed by {weights}; written {now}"


def _names(summary: Summary) -> list[str]:
    """Name today's configuration, or what stands for it, and the other one.

    Of their options they have those that differ.
    """
    today, other = summary.reference, summary.other
    if today is None or other is None:
        return [short(c.allocation) for c in (today, other) if c is not None]
    both = today.allocation, other.allocation
    return [short(*both), short(*reversed(both))]


def _commands(summary: Summary) -> list[tuple[str, str]]:
    """Return the two servers' commands of the winner or the baseline, to be pasted."""
    configuration = summary.other or summary.today
    if configuration is None:
        return []
    allocation = configuration.allocation
    return [
        (
            f"{name}, {short(allocation)}",
            wrapped(without_paths(str(command))),
        )
        for name, command in summary.context.commands(allocation).items()
    ]
