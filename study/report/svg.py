"""Pictures of a study as SVG text: they need no network, scale to any width, print, and say in words what they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from study import wording
from study.analysis.category import Category
from study.analysis.study_cost import PHASES, UNTOLD
from study.report.chart_data import Bar, Line, Spot, Tile, limit_text, total_text


@dataclass(frozen=True, slots=True)
class Mark:
    """How a kind of configuration looks, in every picture: its shape tells it too, not its colour alone.

    shape: as SVG around 0, 0; symbol: plotly's name of the same shape
    """

    colour: str
    shape: str
    symbol: str


CROSS = '<path d="M-6-6 6 6M-6 6 6-6"/>'
STAR = '<path d="M0-9 2.6-3 9-2.6 4 1.6 5.6 8 0 4.4-5.6 8-4 1.6-9-2.6-2.6-3Z"/>'
# Okabe and Ito's palette: told apart by people who are colour-blind
MARKS: Mapping[Category, Mark] = {
    Category.WINNER: Mark("#009E73", STAR, "star"),
    Category.BASELINE: Mark("#0072B2", '<rect x="-6" y="-6" width="12" height="12"/>', "square"),
    Category.INELIGIBLE: Mark("#E69F00", '<path d="M0-8 8 0 0 8-8 0Z"/>', "diamond"),
    Category.WORKS: Mark("#56B4E9", '<circle r="6"/>', "circle"),
    Category.OVER: Mark("#999999", CROSS, "x-thin-open"),
    Category.FAILED: Mark("#D55E00", CROSS, "x"),
}
COLOURS: Mapping[Category, str] = {kind: mark.colour for kind, mark in MARKS.items()}
PALE, DEEP, LOST = (247, 251, 255), (140, 190, 225), "#f5c4ab"  # of a tile: worst, best, no score
PHASE_COLOURS: Mapping[str, str] = dict(
    zip(
        (wording.PHASES.get(phase, phase) for phase in (*PHASES, UNTOLD)),
        ("#56B4E9", "#0072B2", "#F0E442", "#009E73", "#E69F00", "#CC79A7", "#BBBBBB"),
        strict=True,
    )
)
WIDTH = 380  # about a phone's, so that letters keep their size there
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 44


def picture(height: float, title: str, told: str, body: Iterable[str]) -> str:
    """An SVG picture with a name and a description for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(told)}</desc>{''.join(body)}</svg>"
    )


def text(x: float, y: float, said: str, anchor: str = "start", extra: str = "") -> str:
    """One line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(said)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    """A straight line of the class `name`."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{name}"/>'


def ticks(most: float, wanted: int = 4, *, whole: bool = False) -> list[float]:
    """Round numbers from 0 to at least `most`.

    >>> ticks(3500), ticks(2, whole=True)
    ([0.0, 1000.0, 2000.0, 3000.0, 4000.0], [0.0, 1.0, 2.0])
    """
    if most <= 0:
        return [0.0, 1.0]
    rough = max(most / wanted, 1.0 if whole else 0.0)
    power = 10.0 ** (len(f"{rough:.0f}") - 1 if rough >= 1 else -1)
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    found = [0.0]
    while found[-1] < most:
        found.append(found[-1] + step)
    return found


def mark(kind: Category, x: float, y: float, *, is_filled: bool, title: str) -> str:
    """The sign of a kind of configuration."""
    look = MARKS[kind]
    fill = look.colour if is_filled else "#fff"
    return (
        f'<g transform="translate({x:.1f} {y:.1f})" fill="{fill}" stroke="{look.colour}" stroke-width="2">'
        f"<title>{escape(title)}</title>{look.shape}</g>"
    )


def shade(tile: Tile | None, scores: Sequence[float]) -> str:
    """The colour of a tile of the space, deeper the better among these fitnesses."""
    if tile is None:
        return "#fff"
    if tile.cell.fitness is None:
        return LOST
    low, high = min(scores), max(scores)
    part = (tile.cell.fitness - low) / (high - low) if high > low else 1.0
    mixed = (round(a + (b - a) * part) for a, b in zip(PALE, DEEP, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _frame(height: float, tops: Sequence[float], unit: str) -> list[str]:
    """The horizontal lines of a chart with their numbers."""
    floor, room = height - BOTTOM, height - BOTTOM - TOP
    body = [text(4, 12, unit, extra='class="axis"')]
    for value in tops:
        y = floor - room * value / tops[-1]
        body += [
            rule(LEFT, y, WIDTH - RIGHT, y, "grid"),
            text(LEFT - 6, y + 4, f"{value:,.6g}", "end"),
        ]
    return body


def _limit(y: float, name: str, *, above: float) -> list[str]:
    """A line across a chart, with its name so far above it."""
    return [
        rule(LEFT, y, WIDTH - RIGHT, y, "limit"),
        text(WIDTH - RIGHT, y - above, name, "end", 'class="limit-text"'),
    ]


def tradeoff(spots: Sequence[Spot], service: str, limit_ms: float | None) -> str:
    """95 % latency of one service over voice sessions; where none was measured, in a lane of its own at the left."""
    height, name = 290.0, "stt_ms" if service == "speech" else "llm_ms"
    values = [getattr(s, name) for s in spots]
    tops = ticks(max([*values, limit_ms or 0.0]) * 1.02)
    floor, room = height - BOTTOM, height - BOTTOM - TOP
    known = [s.sessions for s in spots if s.sessions is not None]
    is_laned = len(known) < len(spots)
    begin = LEFT + (64 if is_laned else 14)
    steps = ticks(max(known, default=1.0), whole=True)
    body = _frame(height, tops, "ms")
    scale = (WIDTH - RIGHT - 12 - begin) / steps[-1]
    for step in steps if known else ():
        body.append(text(begin + scale * step, floor + 16, f"{step:g}", "middle"))
    body.append(
        text((begin + WIDTH) / 2, height - 6, "voice sessions at once", "middle", 'class="axis"')
    )
    if is_laned:
        body += [
            text(LEFT + 26, floor + 16, "not", "middle"),
            text(LEFT + 26, floor + 30, "measured", "middle"),
        ]
        body.append(rule(begin - 10, TOP, begin - 10, floor, "grid"))
    if limit_ms is not None:
        y = floor - room * limit_ms / tops[-1]
        body += _limit(y, limit_text(limit_ms), above=5)
    said = []
    for s in sorted(spots, key=lambda s: s.kind in (Category.WINNER, Category.BASELINE)):
        ms = getattr(s, name)
        x = LEFT + 26 if s.sessions is None else begin + scale * s.sessions
        at = "sessions not measured" if s.sessions is None else s.capacity
        said.append(f"{s.label} ({s.kind}): {ms:,.0f} ms, {at}")
        y = floor - room * ms / tops[-1]
        body.append(mark(s.kind, x, y, is_filled=s.on_pareto, title=said[-1]))
        body += [text(x + 9, y + 4, "→")] if s.is_lower_bound else []
    return picture(
        height,
        f"{service}: 95 % answered within, against voice sessions at once",
        "; ".join(said),
        body,
    )


def phases(bars: Sequence[Bar]) -> str:
    """Stacked bars: where the time of every launch went."""
    row, left = 24 if len(bars) <= 16 else 17, 16 + 7 * max(len(b.label) for b in bars)
    height = row * len(bars) + 36
    longest = ticks(max(sum(b.seconds.values()) for b in bars))
    scale = (WIDTH - RIGHT - left) / longest[-1]
    body, said = [], []
    for value in longest:
        x = left + value * scale
        body += [rule(x, 0, x, height - 30, "grid"), text(x, height - 16, f"{value:g}", "middle")]
    for n, b in enumerate(bars):
        x = float(left)
        body.append(text(left - 6, row * n + row / 2 + 4, b.label, "end"))
        for phase, seconds in b.seconds.items():
            width, told = seconds * scale, f"{b.configuration}, {phase}: {seconds:.1f} s"
            body.append(
                f'<rect x="{x:.1f}" y="{row * n + 3}" width="{width:.1f}" height="{row - 6}" '
                f'fill="{PHASE_COLOURS[phase]}"><title>{escape(told)}</title></rect>'
            )
            x += width
        said.append(
            f"{b.trial}: {b.configuration}: "
            + ", ".join(f"{p} {s:.0f} s" for p, s in b.seconds.items())
        )
    body.append(text((left + WIDTH) / 2, height - 2, "seconds", "middle", 'class="axis"'))
    return picture(height, "Where the time of every launch went", "; ".join(said), body)


def memory(line: Line) -> str:
    """Device memory in use, second by second."""
    height, seconds = 230.0, max(1, len(line.used_mib) - 1)
    tops = ticks(line.total_mib)
    floor, room, wide = height - BOTTOM, height - BOTTOM - TOP, WIDTH - LEFT - RIGHT
    points = [
        f"{LEFT + wide * n / seconds:.1f},{floor - room * mib / tops[-1]:.1f}"
        for n, mib in enumerate(line.used_mib)
    ]
    y = floor - room * line.total_mib / tops[-1]
    body = _frame(height, tops, "MiB")
    body.append(
        f'<polygon points="{LEFT},{floor} {" ".join(points)} {LEFT + wide},{floor}" class="area"/>'
    )
    body += _limit(y, total_text(line), above=-14)
    for second in (s for s in ticks(seconds) if s <= seconds):
        body.append(text(LEFT + wide * second / seconds, floor + 16, f"{second:g}", "middle"))
    body.append(
        text((LEFT + WIDTH) / 2, height - 6, "seconds since the launch", "middle", 'class="axis"')
    )
    told = f"{line.label}: at most {max(line.used_mib):,} of {line.total_mib:,.0f} MiB in use, in second "
    told += f"{line.used_mib.index(max(line.used_mib))} of {len(line.used_mib)}"
    return picture(height, "Memory in use over time", told, body)
