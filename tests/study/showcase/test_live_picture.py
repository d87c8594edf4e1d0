"""What a terminal showed is in the animated picture: each line, its colours, and its moment."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from rich.live import Live
from rich.text import Text

from objectives.errors import BadInput
from study.showcase.live_picture import animated, frames, read_cast

SHIPPED = Path(__file__).resolve().parents[3] / "study/guides/live.svg"
SVG = "{http://www.w3.org/2000/svg}"


def recorded(folder: Path) -> Path:
    """Record what rich draws: a line each second above a display of three lines that changes."""
    stream = StringIO()
    console = Console(
        file=stream, force_terminal=True, width=40, color_system="standard", highlight=False
    )
    events = list[tuple[float, str, str]]()
    with Live("", console=console, auto_refresh=False, transient=True) as live:
        for second in range(4):
            live.console.print(f"trial {second - 1} ended")
            shown = Text(f"trial       {second}\n").append("▓▓", "green").append(" a & b\n")
            live.update(shown.append(f"budget      {second} s", "bold"), refresh=True)
            events.append((second + 0.5, "o", stream.getvalue().replace("\n", "\r\n")))
            stream.seek(0)
            stream.truncate()
    events.append((4.5, "o", stream.getvalue().replace("\n", "\r\n") + "the end\r\n"))
    head = {"version": 2, "width": 40, "height": 24}
    path = folder / "run.cast"
    path.write_text("\n".join(map(json.dumps, [head, *events])) + "\n")
    return path


def test_each_frame_is_the_live_display_at_its_moment(tmp_path: Path) -> None:
    shown = frames(read_cast(recorded(tmp_path)), 5, 0.6, 5.6)
    texts = [[line.plain for line in frame] for frame in shown]
    moments = [[f"trial       {n}", "▓▓ a & b", f"budget      {n} s"] for n in range(4)]
    assert texts == [*moments, moments[-1]]  # what follows it is none


def test_before_there_is_a_live_display_none_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no live display was shown at 0\.2 s"):
        frames(read_cast(recorded(tmp_path)), 4, 0.2, 4.2)


def test_the_picture_holds_each_line_once_with_its_colours_and_moves_through_all_frames(
    tmp_path: Path,
) -> None:
    cast = read_cast(recorded(tmp_path))
    shown = frames(cast, 4, 0.6, 4.6)
    drawing = animated(shown, cast.columns, 10.0, "a run & its end")
    root = ElementTree.fromstring(drawing)
    texts = [t.text for t in root.iter(f"{SVG}text")]
    assert len(texts) == len(set(texts))
    assert {"trial       3", "▓▓", "a & b", "budget      0 s"} <= set(texts)
    classes = {t.text: t.get("class") for t in root.iter(f"{SVG}text")}
    assert [classes[t] for t in ("▓▓", "budget      0 s", "a & b")] == ["green", "bold", None]
    drawn = {g.get("id") for g in root.iter(f"{SVG}g")}
    used = [use.get("href", "") for use in root.iter(f"{SVG}use")]
    assert {name.removeprefix("#") for name in used} == drawn - {"strip"}
    assert len(used) == 4 * 3
    (style,) = [s.text or "" for s in root.iter(f"{SVG}style")]
    height = float(root.get("height", ""))
    assert height == float(root.get("viewBox", "").split()[-1])
    assert "strip 10s steps(4) infinite" in style
    assert f"translateY(-{4 * height:g}px)" in style
    assert "prefers-color-scheme:dark" in style and "prefers-reduced-motion" in style


@pytest.mark.parametrize(
    "content", ["", "no json", '{"version": 3}\n[0.1, "o", "x"]', '{"version": 2, "width": 80}\n']
)
def test_what_is_no_recording_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "odd.cast").write_text(content)
    with pytest.raises(BadInput, match=r"asciicast|nothing was written"):
        read_cast(tmp_path / "odd.cast")


def test_the_one_that_ships_is_small_and_asks_for_nothing_from_elsewhere() -> None:
    drawing = SHIPPED.read_text("utf-8")
    root = ElementTree.fromstring(drawing)
    assert SHIPPED.stat().st_size < 150_000
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|@import|url\(", drawing)
    assert "10s steps(" in drawing
    texts = {t.text for t in root.iter(f"{SVG}text")}
    assert {"trial", "phase", "memory, GiB", "best so far", "budget"} <= texts
