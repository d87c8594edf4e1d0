"""This module turns a recorded terminal into an animated SVG of what it showed.

The recording is an asciicast of version 2, as `asciinema rec` writes it. What rich draws moves the
cursor by whole lines, so that a list of lines stands for the screen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.color import ColorType
from rich.console import Console
from rich.style import Style
from rich.text import Text

from objectives.errors import BadInput

CONTROL = re.compile(r"\r|\n|\x1b\[(\d*)([AK])|\x1b\[\?25[lh]")
MOST_ROWS = 16  # of a live display
WIDTH, HEIGHT, PAD, BASE = 8.4, 18, 12, 13  # of a column and a line, px; the foot of a letter
NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
STYLE = """
svg{--paper:#fff;--ink:#1f2328;--dim:#656d76;--line:#d0d7de;--red:#cf222e;--green:#1a7f37;
--yellow:#9a6700;--blue:#0969da;--magenta:#8250df;--cyan:#1b7c83}
@media(prefers-color-scheme:dark){svg{--paper:#0d1117;--ink:#e6edf3;--dim:#8d96a0;--line:#30363d;
--red:#ff7b72;--green:#3fb950;--yellow:#d29922;--blue:#58a6ff;--magenta:#bc8cff;--cyan:#39c5cf}}
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
white-space:pre;fill:var(--ink)}
.bold{font-weight:600}.dim{fill:var(--dim)}
"""


@dataclass(frozen=True, slots=True)
class Cast:
    """A cast is a recorded terminal.

    Args:
        columns: The width of the terminal.
        outputs: What was written, each with its time, seconds since the start.
    """

    columns: int
    outputs: Sequence[tuple[float, str]]

    @property
    def length_s(self) -> float:
        """Return when the last was written, seconds."""
        return self.outputs[-1][0]


def read_cast(path: Path) -> Cast:
    """Read an asciicast of version 2.

    Raises:
        BadInput: It is none, or nothing was written in it.
    """
    try:
        head, *events = map(json.loads, path.read_text("utf-8").splitlines())
        outputs = [(float(at_s), str(text)) for at_s, kind, text in events if kind == "o"]
        cast = Cast(int(head["width"]), outputs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{path} is no asciicast of version 2 ({error}); "
            f'write one with `asciinema rec -c "python scripts/run_study.py my.yaml" {path.name}`'
        ) from error
    if not outputs:
        raise BadInput(f"{path}: nothing was written; record a command that writes")
    return cast


def screens(cast: Cast) -> Iterator[tuple[float, list[str]]]:
    """Yield the lines of the screen, with their colours as ANSI has them, after each output."""
    lines, row = [""], 0
    for at_s, text in cast.outputs:
        rest = 0
        for control in CONTROL.finditer(text):
            lines[row] += text[rest : control.start()]
            rest = control.end()
            if control[0] == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif control[2] == "A":
                row = max(0, row - int(control[1] or 1))
            elif control[2] == "K":
                lines[row] = ""
        lines[row] += text[rest:]
        yield at_s, lines


def frames(cast: Cast, count: int, from_s: float, until_s: float) -> list[tuple[Text, ...]]:
    """Return the live display at so many moments, as far apart as each other.

    What was said above it scrolls away on a terminal too, and is left out.

    Args:
        count: How many moments.
        from_s: The first moment, seconds since the start.
        until_s: When the last one is over.

    Raises:
        BadInput: There is none at one of the moments.
    """
    step_s = (until_s - from_s) / count
    moments = [from_s + i * step_s for i in range(count)]
    taken, shown = list[tuple[Text, ...]](), tuple[Text, ...]()
    for at_s, lines in screens(cast):
        while len(taken) < count and at_s > moments[len(taken)]:
            taken.append(shown)
        if live := _live(lines):
            shown = live
    taken += [shown] * (count - len(taken))
    if not all(taken):
        raise BadInput(f"no live display was shown at {from_s:g} s; begin later")
    return taken


def _live(lines: Sequence[str]) -> tuple[Text, ...]:
    """Return the live display among the lines of a screen, from its trial to its budget."""
    decoder = AnsiDecoder()
    texts = [decoder.decode_line(line) for line in lines[-MOST_ROWS:]]
    labels = [text.plain.split(" ")[0] for text in texts]
    if "budget" not in labels or "trial" not in labels[: labels.index("budget")]:
        return ()  # it is being drawn, or there is none
    begin = max(i for i, text in enumerate(texts) if text.plain.startswith("trial  "))
    return tuple(text for text in texts[begin:] if text.plain.strip())


def animated(shown: Sequence[Sequence[Text]], columns: int, length_s: float, title: str) -> str:
    """Return the frames as one picture that shows each for as long as the others, again and again.

    They lie below one another, and a window moves down them. Each distinct line is in it once.

    Args:
        shown: The lines of each frame.
        columns: The width of a line, in letters.
        length_s: How long all of them take together, seconds.
        title: What the picture shows, for who cannot see it.
    """
    rows = max(map(len, shown))
    width, height = columns * WIDTH + 2 * PAD, rows * HEIGHT + 2 * PAD
    names: dict[str, str] = {}
    strip = []
    for i, frame in enumerate(shown):
        for row, line in enumerate(frame):
            drawn = "".join(_runs(line))
            if drawn:
                name = names.setdefault(drawn, f"l{len(names)}")
                strip.append(f'<use href="#{name}" y="{i * height + PAD + row * HEIGHT}"/>')
    drawings = "".join(f'<g id="{name}">{drawn}</g>' for drawn, name in names.items())
    far = len(shown) * height
    still = (len(shown) - 1) * height
    move = (
        f"#strip{{animation:strip {length_s:g}s steps({len(shown)}) infinite}}"
        f"@keyframes strip{{to{{transform:translateY(-{far}px)}}}}"
        "@media(prefers-reduced-motion:reduce)"
        f"{{#strip{{animation:none;transform:translateY(-{still}px)}}}}"
    )
    colours = "".join(f".{name}{{fill:var(--{name})}}" for name in NAMES[1:-1])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" '
        f'width="{width:g}" height="{height}" role="img" xml:space="preserve">'
        f"<title>{escape(title)}</title><style>{STYLE}{colours}{move}</style>"
        f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1}" rx="6" '
        'style="fill:var(--paper);stroke:var(--line)"/>'
        f'<defs>{drawings}</defs><svg width="{width:g}" height="{height}">'  # cuts the rest off
        f'<g id="strip">{"".join(strip)}</g></svg></svg>\n'
    )


def _runs(line: Text) -> Iterator[str]:
    """Yield what a line has in one style, each where it stands; letters keep to their columns."""
    at = 0
    for letters, style, _ in line.render(Console()):
        bare = letters.strip(" ")
        x = PAD + (at + len(letters) - len(letters.lstrip(" "))) * WIDTH
        at += len(letters)
        if bare:
            names = " ".join(_classes(style or Style()))
            marks = f' class="{names}"' if names else ""
            width = f'textLength="{len(bare) * WIDTH:g}" lengthAdjust="spacingAndGlyphs"'
            yield f'<text x="{x:g}" y="{BASE}" {width}{marks}>{escape(bare, quote=False)}</text>'


def _classes(style: Style) -> Iterator[str]:
    if style.bold:
        yield "bold"
    if style.dim:
        yield "dim"
    if style.color is not None and style.color.type is ColorType.STANDARD:
        yield NAMES[(style.color.number or 0) % 8]
