"""This module draws a study as SVG text by hand, which prints and is read aloud.

The report has no script and needs no network: a plotly figure needs four megabytes of script beside
it, and an image of it a browser. What both draw, and in which colours and shapes, is in
`study.report.charts.data` and `.marks`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from study.analysis.category import Category
from study.report.analysis_words import CATEGORY_WORDS
from study.report.charts.data import Bar, MemoryUse, Spot, latency_title, limit_text, total_text
from study.report.charts.marks import CATEGORY_MARKS

WIDTH = 380  # about a phone's, so that letters keep their size there
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 30, 44


def image(height: float, title: str, description: str, body: Iterable[str]) -> str:
    """Return an SVG image with a name and a description for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img"><title>{escape(title)}</title>'
        f"<desc>{escape(description)}</desc>{''.join(body)}</svg>"
    )


def text(x: float, y: float, content: str, anchor: str = "start", extra: str = "") -> str:
    """Return one line of text, with `extra` attributes."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{escape(content)}</text>'


def rule(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    """Return a straight line of the class `name`."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{name}"/>'


def ticks(most: float, *, whole: bool = False) -> list[float]:
    """Return about four round numbers from 0 to at least `most`.

    >>> ticks(3500), ticks(2, whole=True)
    ([0.0, 1000.0, 2000.0, 3000.0, 4000.0], [0.0, 1.0, 2.0])
    """
    if most <= 0:
        return [0.0, 1.0]
    rough = max(most / 4, 1.0 if whole else 0.0)
    power = 10.0 ** (len(f"{rough:.0f}") - 1 if rough >= 1 else -1)
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough)
    values = [0.0]
    while values[-1] < most:
        values.append(values[-1] + step)
    return values


def mark(category: Category, x: float, y: float, *, is_filled: bool, title: str) -> str:
    """Return the sign of a category, with a title that a pointer shows."""
    look = CATEGORY_MARKS[category]
    fill = look.colour if is_filled else "#fff"
    return (
        f'<g transform="translate({x:.1f} {y:.1f})" '
        f'fill="{fill}" stroke="{look.colour}" stroke-width="2">'
        f"<title>{escape(title)}</title>{look.shape}</g>"
    )


def _frame(height: float, tops: Sequence[float], unit: str) -> list[str]:
    """Draw the horizontal lines of a chart with their numbers."""
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
    """Draw a line across a chart, with its name `above` it."""
    return [
        rule(LEFT, y, WIDTH - RIGHT, y, "limit"),
        text(WIDTH - RIGHT, y - above, name, "end", 'class="limit-text"'),
    ]


def latency_chart(spots: Sequence[Spot], service: str, limit_ms: float | None) -> str:
    """Draw the 95 % latency of one service over capacity.

    Where no capacity was measured, a spot lies in a lane of its own at the left.
    """
    height, values = 290.0, [s.p95_ms[service] for s in spots]
    tops = ticks(max([*values, limit_ms or 0.0]) * 1.02)
    floor, room = height - BOTTOM, height - BOTTOM - TOP
    rates = [s.turns_per_s for s in spots if s.turns_per_s is not None]
    has_lane = len(rates) < len(spots)
    begin = LEFT + (64 if has_lane else 14)
    steps = ticks(max(rates, default=1.0))
    body = _frame(height, tops, "ms")
    scale = (WIDTH - RIGHT - 12 - begin) / steps[-1]
    for step in steps if rates else ():
        body.append(text(begin + scale * step, floor + 16, f"{step:g}", "middle"))
    body.append(
        text((begin + WIDTH) / 2, height - 6, "capacity, turns/s", "middle", 'class="axis"')
    )
    if has_lane:
        body += [
            text(LEFT + 26, floor + 16, "not", "middle"),
            text(LEFT + 26, floor + 30, "measured", "middle"),
        ]
        body.append(rule(begin - 10, TOP, begin - 10, floor, "grid"))
    if limit_ms is not None:
        y = floor - room * limit_ms / tops[-1]
        body += _limit(y, limit_text(limit_ms), above=5)
    descriptions = []
    for s in sorted(spots, key=lambda s: s.category in (Category.WINNER, Category.BASELINE)):
        ms = s.p95_ms[service]
        x = LEFT + 26 if s.turns_per_s is None else begin + scale * s.turns_per_s
        capacity = "capacity not measured" if s.turns_per_s is None else s.capacity
        descriptions.append(f"{s.label} ({CATEGORY_WORDS[s.category]}): {ms:,.0f} ms, {capacity}")
        y = floor - room * ms / tops[-1]
        body.append(mark(s.category, x, y, is_filled=s.on_pareto, title=descriptions[-1]))
        body += [text(x + 9, y + 4, "→")] if s.is_lower_bound else []
    title = f"{latency_title(service)}, against capacity"
    return image(height, title, "; ".join(descriptions), body)


def phases_chart(bars: Sequence[Bar], colours: Mapping[str, str]) -> str:
    """Draw as stacked bars where the time of every launch went, each phase in its colour."""
    row, left = 24 if len(bars) <= 16 else 17, 16 + 7 * max(len(b.label) for b in bars)
    height = row * len(bars) + 36
    longest = ticks(max(sum(b.seconds.values()) for b in bars))
    scale = (WIDTH - RIGHT - left) / longest[-1]
    body, descriptions = [], []
    for value in longest:
        x = left + value * scale
        body += [rule(x, 0, x, height - 30, "grid"), text(x, height - 16, f"{value:g}", "middle")]
    for n, b in enumerate(bars):
        x = float(left)
        body.append(text(left - 6, row * n + row / 2 + 4, b.label, "end"))
        for phase, seconds in b.seconds.items():
            width, title = seconds * scale, f"{b.configuration}, {phase}: {seconds:.1f} s"
            body.append(
                f'<rect x="{x:.1f}" y="{row * n + 3}" width="{width:.1f}" height="{row - 6}" '
                f'fill="{colours[phase]}"><title>{escape(title)}</title></rect>'
            )
            x += width
        times = ", ".join(f"{phase} {seconds:.0f} s" for phase, seconds in b.seconds.items())
        descriptions.append(f"{b.trial}: {b.configuration}: {times}")
    body.append(text((left + WIDTH) / 2, height - 2, "seconds", "middle", 'class="axis"'))
    return image(height, "Where the time of every launch went", "; ".join(descriptions), body)


def memory_chart(use: MemoryUse) -> str:
    """Draw the device memory in use, second by second."""
    height, seconds = 230.0, max(1, len(use.used_mib) - 1)
    tops = ticks(use.total_mib)
    floor, room, wide = height - BOTTOM, height - BOTTOM - TOP, WIDTH - LEFT - RIGHT
    points = [
        f"{LEFT + wide * n / seconds:.1f},{floor - room * mib / tops[-1]:.1f}"
        for n, mib in enumerate(use.used_mib)
    ]
    y = floor - room * use.total_mib / tops[-1]
    body = _frame(height, tops, "MiB")
    body.append(
        f'<polygon points="{LEFT},{floor} {" ".join(points)} {LEFT + wide},{floor}" class="area"/>'
    )
    body += _limit(y, total_text(use), above=-14)
    for second in (s for s in ticks(seconds) if s <= seconds):
        body.append(text(LEFT + wide * second / seconds, floor + 16, f"{second:g}", "middle"))
    body.append(
        text((LEFT + WIDTH) / 2, height - 6, "seconds since the launch", "middle", 'class="axis"')
    )
    most = max(use.used_mib)
    description = (
        f"{use.label}: at most {most:,} of {use.total_mib:,.0f} MiB in use, "
        f"in second {use.used_mib.index(most)} of {len(use.used_mib)}"
    )
    return image(height, "Memory in use over time", description, body)
