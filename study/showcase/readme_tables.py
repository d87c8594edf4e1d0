"""The study that ships as pages show it: one picture and tables, written between two marks, so that none grows old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from objectives.allocation import SHARE
from objectives.errors import BadInput, SetupError
from study.analysis.compare import contrast
from study.analysis.decision import BASELINE, HELD_BACK, KINDS, WINNER
from study.analysis.launches import WIDE, read
from study.cli.console import Terminal
from study.confirmation.lookup import Told
from study.report.chart_data import Heat, Tile, heat
from study.report.effects_table import influence
from study.report.summary import Case, case, how_sure, sentence
from study.report.svg import COLOURS, mark, text
from study.report.trial_words import table
from study.run import Options, run
from study.spec.load import load
from study.storage.find import study_in
from study.wording import SHORT, short

PICTURE = Path("study/guides/recording.svg")
README, GUIDE = Path("README.md"), Path("study/guides/recording.md")
BEGIN = "<!-- written by python scripts/show_recording.py -->"
WIDE_BEGIN = "<!-- written by python scripts/show_recording.py: the wider space -->"
END = "<!-- end of what it writes -->"
PALE, DEEP, LOST = (247, 251, 255), (140, 190, 225), "#f5c4ab"
MARKED = (WINNER, BASELINE, HELD_BACK)  # the others say in words what they are
TILE, LEFT, TOP, MARGIN, LINE = 132, 110, 74, 14, 15
SHARE_MEANS = ": how much of the device's memory the LLM server may use"
STYLE = 'font-family="system-ui, sans-serif" font-size="13" fill="#222"'


def replayed() -> Case:
    """The study that ships, replayed into a folder that is gone afterwards."""
    spec, terminal = load(None), Terminal(quiet=True)
    terminal.console.quiet = True
    with TemporaryDirectory(prefix="showcase-") as folder:
        run(spec, Options(out=Path(folder)), terminal)
        return case(study_in(f"sqlite:///{folder}/{spec.name}/study.db"))


def rendered(told: Case, root: Path) -> Mapping[Path, str]:
    """What the files below `root` should hold.

    raises: BadInput where a page lacks the marks; SetupError where statsmodels, which its tables need, is missing
    """
    return {
        PICTURE: picture(told),
        README: _between(_page(root / README), README, _summary(told)),
        GUIDE: _between(
            _between(_page(root / GUIDE), GUIDE, _whole(told)), GUIDE, _wide(), WIDE_BEGIN
        ),
    }


def stale(pages: Mapping[Path, str], root: Path) -> list[Path]:
    """Those that hold something else."""
    return [
        p
        for p, content in pages.items()
        if not (root / p).is_file() or (root / p).read_text("utf-8") != content
    ]


def write(pages: Mapping[Path, str], root: Path) -> None:
    """Each of them whole."""
    for path, content in pages.items():
        draft = (root / path).with_suffix(".draft")
        draft.write_text(content, "utf-8")
        draft.replace(root / path)


def _page(path: Path) -> str:
    return path.read_text("utf-8")


def _between(content: str, page: Path, lines: Sequence[str], opening: str = BEGIN) -> str:
    before, begin, rest = content.partition(f"{opening}\n")
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BadInput(
            f"{page} has no lines {opening!r} and {END!r}; put them where the tables belong"
        )
    return before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after


def _summary(told: Case) -> list[str]:
    """The picture, the answer, today's against the winner, and how far to trust it."""
    today, other = told.today, told.other
    lines = [f"![{_alternative(told)}]({PICTURE})", "", f"**{sentence(told)}**", ""]
    if today is not None and other is not None:
        name = "winner" if told.decision.winner else "closest"
        lines += [
            f"| | today: {short(today.allocation)} | {name}: {short(other.allocation)} | difference |"
        ]
        lines += ["|---|---|---|---|"]
        lines += [
            f"| {c.title} | {c.old} | {c.new} | {c.change} |"
            for c in contrast(today, other, told.cells)
        ]
        lines.append("")
    return [*lines, _where(told), "", *_sure(told)[:3]]


def _whole(told: Case) -> list[str]:
    """Every configuration, and what speaks for the answer and against it."""
    found = table(told)
    return [
        f"**{sentence(told)}**",
        "",
        _where(told),
        "",
        found,
        "",
        *_sure(told),
        *_pairs(told.confirmation),
    ]


def _wide() -> list[str]:
    """What each parameter of the wider space does, from its recording."""
    [cost] = read(str(WIDE))
    told = influence(cost.launches)
    if told.lacks:
        raise SetupError(told.lacks)
    body = [(f"**{name}**" if name == name.strip() else name, *cells) for name, *cells in told.rows]
    lines = [f"| {' | '.join(cells)} |" for cells in (told.head, ["---"] * len(told.head), *body)]
    return [*lines, "", *(f"- {line}" for line in told.said)]


def _pairs(confirmed: Told | None) -> list[str]:
    """What fresh launches showed of every metric."""
    if confirmed is None:
        return []
    how = "95 % intervals; the word says how it stands to its margin ([the rule](confirming.md))"
    lines = [
        "",
        f"Fresh launches of both: {confirmed.summary}. In percent of today's, positive is better, {how}:",
        "",
    ]
    lines += ["| metric | workload | winner | interval | |", "|---|---|---|---|---|"]
    return lines + [
        f"| {x.metric} | {x.workload} | {x.gain} | {x.interval} | {x.standing} |"
        for x in confirmed.lines
    ]


def _sure(told: Case) -> list[str]:
    where = told.asked.measured_elsewhere  # has a line of its own
    return [f"- {said}" for said in how_sure(told) if where is None or where not in said]


def _where(told: Case) -> str:
    said = told.asked.measured_elsewhere or "measured"
    return f"{said[0].upper()}{said[1:]}. The figures hold for that machine and say nothing about another."


def _alternative(told: Case) -> str:
    lost = ", ".join(short(c.allocation) for c in told.cells if not c.is_feasible) or "none"
    best = told.decision.winner or told.decision.baseline
    answer = short(best.allocation) if best else "none"
    return f"The space as measured: best is {answer}, in use today {short(told.asked.baseline)}, ruled out: {lost}"


def picture(told: Case) -> str:
    """The space as one SVG picture that needs nothing else: a tile a configuration, what wins, what fails."""
    shown = heat(told.cells, told.decision, told.asked)
    tall = 24 + LINE * max((len(t.lines) for t in shown.tiles.values()), default=1)
    width = LEFT + TILE * len(shown.xs) + MARGIN
    height = TOP + tall * len(shown.ys) + 84
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" {STYLE}>',
        f"<title>{escape(_alternative(told))}</title>",
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
    edge = COLOURS[tile.kind] if tile.kind in (WINNER, BASELINE) else "#fff"
    box = f'x="{left + 3}" y="{top + 3}" width="{TILE - 6}" height="{tall - 6}" rx="4" stroke-width="3"'
    drawn = [f'<rect {box} fill="{_shade(tile.cell.fitness, scores)}" stroke="{edge}"/>']
    first, *rest = tile.lines
    drawn.append(text(left + TILE / 2, top + 24, first, "middle", 'font-weight="bold"'))
    drawn += [
        text(left + TILE / 2, top + 24 + LINE * (n + 1), line, "middle")
        for n, line in enumerate(rest)
    ]
    if tile.kind in MARKED:
        drawn.append(mark(tile.kind, left + 17, top + 17, is_filled=True, title=tile.kind))
    return drawn


def _shade(fitness: float | None, scores: Sequence[float]) -> str:
    if fitness is None:
        return LOST
    low, high = min(scores), max(scores)
    part = (fitness - low) / (high - low) if high > low else 1.0
    return "#" + "".join(
        f"{round(a + (b - a) * part):02x}" for a, b in zip(PALE, DEEP, strict=True)
    )


def _legend(shown: Heat, height: float) -> list[str]:
    drawn, x, y = [], float(MARGIN + 8), height - 52
    seen = {t.kind for t in shown.tiles.values()}
    for kind in (k for k in KINDS if k in seen and k in MARKED):
        drawn += [mark(kind, x, y, is_filled=True, title=kind), text(x + 14, y + 4, kind)]
        x += 40 + 7.5 * len(kind)
    others = f"; the best over {', '.join(shown.others)}" if shown.others else ""
    note = f"number: fitness, 1 is best, mean of the launches ± standard error{others}"
    return [*drawn, text(MARGIN, height - 20, note)]
