"""Make the tables of a run's end: what was measured, and today's allocation beside the winner."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import HEAVY_HEAD
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from objectives.engines.engine import apis_of
from objectives.figures import CAPACITY, FITNESS, figure, figures_of
from study.analysis.category import Category, category
from study.analysis.configurations import Configuration, configurations_in, ranked
from study.analysis.decision import Decision
from study.report.analysis_words import CATEGORY_WORDS
from study.report.comparison import against_today
from study.report.service_words import latencies_of
from study.report.summary import Summary
from study.report.trial_words import mean_capacity, outcome_in_words
from study.storage.context import StudyContext
from study.storage.trials import Trial
from study.wording import failure_in_words, label, short

WIDE_COLUMNS = 120  # a narrower terminal gets fewer columns rather than broken ones
OUTCOME = 9  # columns: "held back", "baseline"


def measured(
    trials: Sequence[Trial], decision: Decision, context: StudyContext, width: int
) -> Table:
    """List every configuration once, best first, with what failed and why.

    Args:
        width: Of the terminal, in columns.
    """
    launched, own = configurations_in(trials), [t for t in trials if t.repeat_of is None]
    several = len(launched) < len(own)
    is_wide = width >= WIDE_COLUMNS
    searched = [label(name).replace("_", " ") for name in own[0].allocation.values] if own else []
    names = _figure_names(context, is_wide=is_wide)
    figures = (figure(name).narrow_head for name in names)
    heads = [*searched, *(("n",) if several else ()), FITNESS.short, *figures]
    lines = [
        [
            *(str(v) for v in c.allocation.values.values()),
            *((str(len(c.measured) + len(c.failed)),) if several else ()),
            _score(c),
            *(_figure(c, name) for name in names),
            _outcome(c, decision, is_wide=is_wide),
        ]
        for c in ranked(launched)
    ]
    return _table(heads, lines, len(searched), _caption(trials, len(launched), width), width)


def _figure_names(context: StudyContext, *, is_wide: bool) -> list[str]:
    """Return the figures that have a column."""
    latencies = latencies_of(context)
    words = [n for n, f in figures_of(apis_of(context.services)).items() if f.name == "wer_pct"]
    return [*latencies, CAPACITY, *words, "free_memory_mib"] if is_wide else latencies


def _figure(c: Configuration, name: str) -> str:
    return mean_capacity(c) if name == CAPACITY else figure(name).text(c.mean(name))


def _score(c: Configuration) -> str:
    """Return the mean fitness; of what does not work the 0 that the study was told."""
    return FITNESS.text(c.fitness if c.measured else c.failed[0].fitness)


def _caption(trials: Sequence[Trial], count: int, width: int) -> str:
    own = sum(t.repeat_of is None for t in trials)
    repeats = len(trials) - own
    caption = f"{count} configurations in {own} measurements"
    caption += f", {repeats} asked again and told what is known" if repeats else ""
    caption += "; figures of several measurements are their means" if count < own else ""
    wider = f"; {WIDE_COLUMNS} columns show capacity, words and free memory too"
    return caption + ("" if width >= WIDE_COLUMNS else wider)


def _table(
    heads: Sequence[str], lines: Sequence[Sequence[str]], names: int, caption: str, width: int
) -> Table:
    """Make the table, fitted to the terminal; the first `names` columns are parameters."""
    widest = [max((len(line[n]) for line in lines), default=0) for n in range(len(heads))]
    needed = [
        max(least, *map(len, head.split())) for head, least in zip(heads, widest, strict=True)
    ]
    is_ample = sum(map(max, widest, map(len, heads))) + 3 * len(heads) + OUTCOME + 4 <= width
    # too narrow for lines between columns: rather none than cut figures
    is_tight = sum(needed) + 3 * len(needed) + OUTCOME + 4 > width
    if is_tight and sum(needed) + len(needed) + OUTCOME > width:
        needed = widest  # then a head's words are broken
    table = Table(
        title="What was measured, best first; - was not measured",
        caption=caption,
        title_justify="left",
        caption_justify="left",
        box=None if is_tight else HEAVY_HEAD,
        padding=(0, 1, 0, 0) if is_tight else (0, 1),
        pad_edge=not is_tight,
    )
    for n, (name, least) in enumerate(zip(heads, needed, strict=True)):
        justify: JustifyMethod = "left" if n < names else "right"
        table.add_column(name, overflow="fold", justify=justify, width=None if is_ample else least)
    table.add_column("outcome", min_width=OUTCOME)
    for line in lines:
        table.add_row(*map(escape, line))
    return table


def _outcome(c: Configuration, decision: Decision, *, is_wide: bool) -> str:
    """Say what became of a configuration.

    In a narrow table it is two words, since `ruled_out` says the rest.
    """
    match kind := category(c, decision):
        case Category.WINNER | Category.INELIGIBLE:
            return CATEGORY_WORDS[kind]
        case Category.BASELINE:
            return "baseline"  # the column has no room for the words of a legend
        case Category.WORKS:
            return ""
    launches = sorted((*c.measured, *c.failed), key=lambda t: t.number)
    first = next(t for t in launches if not t.is_feasible)
    if first.diagnosis and not is_wide:
        return failure_in_words(first.diagnosis.failure_class)
    return outcome_in_words(first)


def winner_table(summary: Summary, standing: str) -> Table | None:
    """Put the baseline's figures beside the winner's, or beside what came closest.

    It is None where one of them has none.

    Args:
        standing: What the winner is: a replay, a candidate, confirmed.
    """
    today, other = summary.today, summary.other
    if today is None or other is None or not (today.measured and other.measured):
        return None
    compared = against_today(summary)
    table = Table(title=compared.title, title_justify="left")
    table.add_column("")
    what = standing if summary.decision.winner else compared.role
    for c, role in ((today, "in use today"), (other, what)):
        head = f"{escape(short(c.allocation))}\n({escape(role)})"
        table.add_column(head, justify="right", overflow="fold")
    table.add_column("difference")
    old, new = today.fitness, other.fitness
    gain = "-" if old is None or new is None else f"{new - old:+.4f}"
    table.add_row("fitness, 1 is best", FITNESS.text(old), FITNESS.text(new), gain)
    style = {"better": "green", "worse": "red"}
    for row in compared.figures:
        table.add_row(row.title, row.old, row.new, row.change, style=style.get(row.sense))
    return table
