"""The study that ships as pages show it: a picture and tables, written between two marks, so that none grows old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from objectives.errors import BadInput, SetupError
from objectives.plain_data.atomic import write_atomic
from study.analysis.launches import WIDE, read
from study.cli.console import Terminal
from study.confirmation.verdict_file import Confirmation
from study.report.comparison import comparison
from study.report.effects_table import influence
from study.report.space_picture import alternative, picture
from study.report.summary import Summary, how_sure, sentence, summary
from study.report.trial_words import table
from study.run import run
from study.run_plan import Options
from study.spec.load import load
from study.storage.find import study_in
from study.wording import short

PICTURE = Path("study/guides/recording.svg")
README, GUIDE = Path("README.md"), Path("study/guides/recording.md")
BEGIN = "<!-- written by python scripts/show_recording.py -->"
WIDE_BEGIN = "<!-- written by python scripts/show_recording.py: the wider space -->"
END = "<!-- end of what it writes -->"


def replayed() -> Summary:
    """The study that ships, replayed into a folder that is gone afterwards."""
    spec, terminal = load(None), Terminal(quiet=True)
    terminal.console.quiet = True
    with TemporaryDirectory(prefix="showcase-") as folder:
        run(spec, Options(out=Path(folder)), terminal)
        return summary(study_in(f"sqlite:///{folder}/{spec.name}/study.db"))


def rendered(told: Summary, root: Path) -> Mapping[Path, str]:
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
        write_atomic(root / path, content)


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


def _summary(told: Summary) -> list[str]:
    """The picture, the answer, today's against the winner, and how far to trust it."""
    today, other = told.today, told.other
    lines = [f"![{alternative(told)}]({PICTURE})", "", f"**{sentence(told)}**", ""]
    if today is not None and other is not None:
        name = "winner" if told.decision.winner else "closest"
        lines += [
            f"| | today: {short(today.allocation)} | {name}: {short(other.allocation)} | difference |"
        ]
        lines += ["|---|---|---|---|"]
        lines += [
            f"| {c.title} | {c.old} | {c.new} | {c.change} |"
            for c in comparison(today, other, told.configurations)
        ]
        lines.append("")
    return [*lines, _where(told), "", *_sure(told)[:3]]


def _whole(told: Summary) -> list[str]:
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


def _pairs(confirmed: Confirmation | None) -> list[str]:
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


def _sure(told: Summary) -> list[str]:
    where = told.context.measured_elsewhere  # has a line of its own
    return [f"- {said}" for said in how_sure(told) if where is None or where not in said]


def _where(told: Summary) -> str:
    said = told.context.measured_elsewhere or "measured"
    return f"{said[0].upper()}{said[1:]}. The figures hold for that machine and say nothing about another."
