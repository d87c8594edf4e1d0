"""This module writes the study that ships into pages: a picture, and tables between two marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from objectives.errors import BadInput, SetupError
from objectives.plain_data.atomic import write_atomic
from study.analysis.cost.launches import WIDE_RECORDING, read_costs
from study.cli.console import Terminal
from study.confirmation.verdict_file import Confirmation
from study.report.charts.space_picture import alternative, picture
from study.report.comparison import against_today
from study.report.effects.table import influence
from study.report.headline import answer_lines, how_sure, sentence
from study.report.summary import Summary, summary
from study.report.trial_words import configurations_table
from study.run import run
from study.run_plan import RunOptions
from study.spec.choices import effect_figures
from study.spec.load import load
from study.storage.find import study_in
from study.wording.allocations import short

PICTURE = Path("study/guides/recording.svg")
README, GUIDE = Path("README.md"), Path("study/guides/recording.md")
NOTE = Path("study/guides/notes/h100.md")
BEGIN = "<!-- written by python scripts/show_recording.py -->"
WIDE_BEGIN = "<!-- written by python scripts/show_recording.py: the wider space -->"
END = "<!-- end of what it writes -->"


def replayed() -> Summary:
    """Replay the study that ships into a folder that is gone afterwards, and summarize it."""
    spec, terminal = load(None), Terminal(quiet=True)
    terminal.console.quiet = True
    with TemporaryDirectory(prefix="showcase-") as folder:
        run(spec, RunOptions(out=Path(folder)), terminal)
        return summary(study_in(f"sqlite:///{folder}/{spec.name}/study.db"))


def rendered(replay: Summary, root: Path) -> Mapping[Path, str]:
    """Return what the files below `root` should hold.

    Raises:
        BadInput: A page lacks the marks.
        SetupError: statsmodels, which the tables need, is missing.
    """
    return {
        PICTURE: picture(replay),
        README: _between(_page(root / README), README, _summary(replay)),
        GUIDE: _between(_page(root / GUIDE), GUIDE, _whole(replay)),
        NOTE: _between(_page(root / NOTE), NOTE, _wide(), WIDE_BEGIN),
    }


def stale(pages: Mapping[Path, str], root: Path) -> list[Path]:
    """Return the files below `root` that hold something else."""
    return [
        p
        for p, content in pages.items()
        if not (root / p).is_file() or (root / p).read_text("utf-8") != content
    ]


def write_pages(pages: Mapping[Path, str], root: Path) -> None:
    """Write each of the files below `root` whole."""
    for path, content in pages.items():
        write_atomic(root / path, content)


def _page(path: Path) -> str:
    return path.read_text("utf-8")


def _between(content: str, page: Path, lines: Sequence[str], opening: str = BEGIN) -> str:
    """Replace what a page has between the opening mark and the end mark that follows it."""
    before, begin, rest = content.partition(f"{opening}\n")
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BadInput(
            f"{page} has no lines {opening!r} and {END!r}; put them where the tables belong"
        )
    return before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after


def _summary(replay: Summary) -> list[str]:
    """Write the picture, the answer and what is first for or against it, and the page with more."""
    return [
        f"![{alternative(replay)}]({PICTURE})",
        "",
        f"**{sentence(replay)}**",
        "",
        *_bullets(answer_lines(replay)[:2]),
        "",
        f"{_source(replay)} All of it: [recording]({GUIDE}).",
    ]


def _whole(replay: Summary) -> list[str]:
    """Write today's against the winner, every configuration, what speaks for and against it."""
    return [
        f"**{sentence(replay)}**",
        "",
        _source(replay),
        "",
        *_compared(replay),
        configurations_table(replay),
        "",
        *_bullets([*answer_lines(replay), *how_sure(replay, with_source=False)]),
        *_pairs(replay.confirmation),
    ]


def _compared(replay: Summary) -> list[str]:
    """Write today's against the winner, figure by figure."""
    today, other = replay.reference, replay.other
    if today is None or other is None:
        return []
    compared = against_today(replay)
    first, second = compared.held_against.short, compared.role
    names = f"{first}: {short(today.allocation)} | {second}: {short(other.allocation)}"
    lines = [f"| | {names} | difference |", "|---|---|---|---|"]
    lines += [f"| {f.title} | {f.old} | {f.new} | {f.change} |" for f in compared.figures]
    return [*lines, ""]


def _wide() -> list[str]:
    """Write what each parameter of the wider space does, from its recording."""
    [cost] = read_costs(str(WIDE_RECORDING))
    effects = influence(cost.launches, effect_figures(cost.apis))
    if effects.lacks:
        raise SetupError(effects.lacks)
    body = [
        (f"**{name}**" if name in effects.parameters else name, *cells)
        for name, *cells in effects.rows
    ]
    rows = (effects.head, ["---"] * len(effects.head), *body)
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return [*lines, "", *(f"- {note}" for note in effects.notes)]


def _pairs(confirmation: Confirmation | None) -> list[str]:
    """Write what fresh launches showed of every metric."""
    if confirmation is None:
        return []
    how = f"{confirmation.how} ([confirming](confirming.md))"
    return [
        "",
        f"Fresh launches of both: {confirmation.summary}. "
        f"In percent of today's, positive is better, {how}:",
        "",
        "| metric | workload | winner | interval | |",
        "|---|---|---|---|---|",
        *(
            f"| {line.metric} | {line.workload} | {line.gain} | {line.interval} | {line.standing} |"
            for line in confirmation.lines
        ),
    ]


def _bullets(lines: Sequence[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _source(replay: Summary) -> str:
    """Say where the figures were measured, and that they hold for nothing else."""
    source = replay.context.measured_elsewhere or "measured"
    scope = "The figures hold for that machine and say nothing about another."
    return f"{source[0].upper()}{source[1:]}. {scope}"
