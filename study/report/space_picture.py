"""The space as one SVG file that needs nothing else: a tile a configuration, what wins, what fails."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from objectives.allocation import SHARE
from study.analysis.category import Category
from study.report.chart_data import Heat, Tile, heat
from study.report.summary import Summary
from study.report.svg import COLOURS, mark, shade, text
from study.wording import SHORT, short

MARKED = (
    Category.WINNER,
    Category.BASELINE,
    Category.INELIGIBLE,
)  # the others say in words what they are
TILE, LEFT, TOP, MARGIN, LINE = 132, 110, 74, 14, 15
SHARE_MEANS = ": how much of the device's memory the LLM server may use"
STYLE = 'font-family="system-ui, sans-serif" font-size="13" fill="#222"'


def alternative(told: Summary) -> str:
    """The picture in words."""
    lost = (
        ", ".join(short(c.allocation) for c in told.configurations if not c.is_feasible) or "none"
    )
    best = told.decision.winner or told.decision.baseline
    answer = short(best.allocation) if best else "none"
    return f"The space as measured: best is {answer}, in use today {short(told.context.baseline)}, ruled out: {lost}"


def picture(told: Summary) -> str:
    """Draw the space of a study."""
    shown = heat(told.configurations, told.decision, told.context)
    tall = 24 + LINE * max((len(t.lines) for t in shown.tiles.values()), default=1)
    width = LEFT + TILE * len(shown.xs) + MARGIN
    height = TOP + tall * len(shown.ys) + 84
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" {STYLE}>',
        f"<title>{escape(alternative(told))}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        text(
            MARGIN,
            24,
            "How should one device be shared? The space, as measured",
            extra='font-size="16"',
        ),
        text(LEFT, 46, f"{shown.x_name}{SHARE_MEANS if shown.x_name == SHORT[SHARE] else ''}"),
        text(MARGIN, TOP - 6, shown.y_name),
    ]
    scores = [t.cell.fitness for t in shown.tiles.values() if t.cell.fitness is not None]
    for n, x in enumerate(shown.xs):
        body.append(text(LEFT + TILE * (n + 0.5), TOP - 6, x, "middle"))
    for row, y in enumerate(shown.ys):
        top = TOP + tall * row
        body.append(text(LEFT - 8, top + tall / 2 + 4, y, "end"))
        for n, x in enumerate(shown.xs):
            body += _tile(shown.tiles.get((x, y)), LEFT + TILE * n, top, tall, scores)
    return "\n".join([*body, *_legend(shown, height), "</svg>", ""])


def _tile(
    tile: Tile | None, left: float, top: float, tall: float, scores: Sequence[float]
) -> list[str]:
    if tile is None:
        return [text(left + TILE / 2, top + tall / 2 + 4, "not tried", "middle", 'fill="#777"')]
    edge = COLOURS[tile.kind] if tile.kind in (Category.WINNER, Category.BASELINE) else "#fff"
    box = f'x="{left + 3}" y="{top + 3}" width="{TILE - 6}" height="{tall - 6}" rx="4" stroke-width="3"'
    drawn = [f'<rect {box} fill="{shade(tile, scores)}" stroke="{edge}"/>']
    first, *rest = tile.lines
    drawn.append(text(left + TILE / 2, top + 24, first, "middle", 'font-weight="bold"'))
    drawn += [
        text(left + TILE / 2, top + 24 + LINE * (n + 1), line, "middle")
        for n, line in enumerate(rest)
    ]
    if tile.kind in MARKED:
        drawn.append(mark(tile.kind, left + 17, top + 17, is_filled=True, title=tile.kind))
    return drawn


def _legend(shown: Heat, height: float) -> list[str]:
    drawn, x, y = [], float(MARGIN + 8), height - 52
    seen = {t.kind for t in shown.tiles.values()}
    for kind in (k for k in Category if k in seen and k in MARKED):
        drawn += [mark(kind, x, y, is_filled=True, title=kind), text(x + 14, y + 4, kind)]
        x += 40 + 7.5 * len(kind)
    others = f"; the best over {', '.join(shown.others)}" if shown.others else ""
    note = f"number: fitness, 1 is best, mean of the launches ± standard error{others}"
    return [*drawn, text(MARGIN, height - 20, note)]
