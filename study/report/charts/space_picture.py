"""This module draws the space as one SVG file that needs nothing else, a tile a configuration."""

from __future__ import annotations

from html import escape

from objectives.allocation import SHARE
from study.analysis.category import Category
from study.report.analysis_words import CATEGORY_WORDS
from study.report.charts.heat_map import HeatMap, Tile, heat_map
from study.report.charts.marks import CATEGORY_COLOURS, shade
from study.report.charts.svg import mark, text
from study.report.summary import Summary
from study.wording.allocations import SHORT, short

# the other categories are named in the tile itself
MARKED = (Category.WINNER, Category.BASELINE, Category.INELIGIBLE)
TILE, LEFT, TOP, MARGIN, LINE = 132, 110, 74, 14, 15
XML = ' xmlns="http://www.w3.org/2000/svg"'
LEAST_WIDTH = 640  # for the texts above and below
TITLE = "How should one device be shared? The space, as measured"
SHARE_MEANS = ": how much of the device's memory the LLM server may use"
STYLE = 'font-family="system-ui, sans-serif" font-size="13" fill="#222"'


def alternative(summary: Summary) -> str:
    """Say the picture in words, for those who do not see it."""
    given_up = [short(c.allocation) for c in summary.configurations if c.is_given_up]
    bad = (c for c in summary.configurations if not c.is_feasible and not c.is_given_up)
    lost = [short(c.allocation) for c in bad]
    early = f", given up: {', '.join(given_up)}" if given_up else ""
    best = summary.decision.winner or summary.decision.baseline
    answer = short(best.allocation) if best else "none"
    today = short(summary.context.baseline)
    in_use = f"in use today {today}, " if summary.context.has_today else ""
    return (
        f"The space as measured: best is {answer}, {in_use}"
        f"ruled out: {', '.join(lost) or 'none'}{early}"
    )


def picture(summary: Summary, *, is_inline: bool = False) -> str:
    """Draw the space of a study.

    Args:
        summary: The study.
        is_inline: Whether it is part of a page, and no file of its own.
    """
    table = heat_map(summary.configurations, summary.decision, summary.context)
    tall = 24 + LINE * max((len(t.lines) for t in table.tiles.values()), default=1)
    width = max(LEFT + TILE * len(table.xs) + MARGIN, LEAST_WIDTH)
    height = TOP + tall * len(table.ys) + 84
    body = [
        f'<svg{"" if is_inline else XML} viewBox="0 0 {width} {height}" '
        f'width="{width}" role="img" {STYLE}>',
        f"<title>{escape(alternative(summary))}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(MARGIN, 24, TITLE, extra='font-size="16"'),
        text(LEFT, 46, f"{table.x_name}{SHARE_MEANS if table.x_name == SHORT[SHARE] else ''}"),
        text(MARGIN, TOP - 6, table.y_name),
    ]
    for n, x in enumerate(table.xs):
        body.append(text(LEFT + TILE * (n + 0.5), TOP - 6, x, "middle"))
    fitnesses = table.fitness_range()
    for row, y in enumerate(table.ys):
        top = TOP + tall * row
        body.append(text(LEFT - 8, top + tall / 2 + 4, y, "end"))
        for n, x in enumerate(table.xs):
            body += _tile(table.tiles.get((x, y)), LEFT + TILE * n, top, tall, fitnesses)
    return "\n".join([*body, *_legend(table, height), "</svg>", ""])


def _tile(
    tile: Tile | None, left: float, top: float, tall: float, fitnesses: tuple[float, float]
) -> list[str]:
    if tile is None:
        return [text(left + TILE / 2, top + tall / 2 + 4, "not tried", "middle", 'fill="#777"')]
    is_framed = tile.category in (Category.WINNER, Category.BASELINE)
    edge = CATEGORY_COLOURS[tile.category] if is_framed else "#fff"
    elements = [
        f'<rect x="{left + 3}" y="{top + 3}" width="{TILE - 6}" height="{tall - 6}" '
        f'rx="4" stroke-width="3" fill="{shade(tile, fitnesses)}" stroke="{edge}"/>'
    ]
    first, *rest = tile.lines
    elements.append(text(left + TILE / 2, top + 24, first, "middle", 'font-weight="bold"'))
    elements += [
        text(left + TILE / 2, top + 24 + LINE * (n + 1), line, "middle")
        for n, line in enumerate(rest)
    ]
    if tile.category in MARKED:
        title = CATEGORY_WORDS[tile.category]
        elements.append(mark(tile.category, left + 17, top + 17, is_filled=True, title=title))
    return elements


def _legend(table: HeatMap, height: float) -> list[str]:
    elements, x, y = [], float(MARGIN + 8), height - 52
    present = {t.category for t in table.tiles.values()}
    for category in (c for c in Category if c in present and c in MARKED):
        name = CATEGORY_WORDS[category]
        elements += [
            mark(category, x, y, is_filled=True, title=name),
            text(x + 14, y + 4, name),
        ]
        x += 40 + 7.5 * len(name)
    others = "; the best of each place" if table.others else ""
    note = f"number: fitness, 1 is best, mean of the launches ± standard error{others}"
    return [*elements, text(MARGIN, height - 20, note)]
