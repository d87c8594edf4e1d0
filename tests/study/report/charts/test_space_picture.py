"""The picture of the space has a tile for each configuration, and says in words what it shows."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from made.factories import SIZES, make, oom, write_spec
from made.studies import Shared
from processes.commands import run_study

from study.report.charts.space_picture import picture
from study.report.summary import Summary, summary
from study.showcase.readme_tables import replayed
from study.storage.find import study_in

SVG = "{http://www.w3.org/2000/svg}"


def summarized(folder: Path, spec: Path) -> Summary:
    assert run_study(spec, "--out", folder / "out").returncode in (0, 4)
    return summary(study_in(f"sqlite:///{folder}/out/made/study.db"))


@pytest.fixture(scope="module")
def usual(shared: Shared) -> Summary:
    return summary(study_in(f"sqlite:///{shared.finished()}/out/made/study.db"))


def texts(svg: str) -> list[str]:
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_the_picture_has_a_tile_for_each_configuration_and_says_what_wins_and_what_fails(
    usual: Summary,
) -> None:
    lines = texts(picture(usual))
    assert [x for x in lines if x.endswith(" %")] == ["40 %", "45 %", "50 %", "55 %", "60 %"]
    assert lines.count("1 launch") == 8 and lines.count("out of memory") == 2
    assert {"600 MiB short", "900 MiB short"} <= set(lines)
    assert lines.count("winner") == 2 and lines.count("in use today") == 2, "in the tile and below"


def test_the_picture_says_in_words_what_it_shows(usual: Summary) -> None:
    title = ElementTree.fromstring(picture(usual)).find(f"{SVG}title")
    assert title is not None and title.text is not None
    assert "best is 55 % + base, in use today 50 % + base" in title.text
    assert "60 % + tiny" in title.text.partition("ruled out: ")[2]


def test_every_text_lies_inside_the_picture(usual: Summary) -> None:
    svg = ElementTree.fromstring(picture(usual))
    *_, width, height = map(float, svg.attrib["viewBox"].split())
    for e in svg.iter(f"{SVG}text"):
        assert 0 <= float(e.attrib["x"]) <= width and 0 <= float(e.attrib["y"]) <= height


def test_where_nothing_works_the_picture_says_so(tmp_path: Path) -> None:
    make(tmp_path, lambda *_: oom(900.0))
    lost = summarized(
        tmp_path,
        write_spec(
            tmp_path, search_space={"vllm_memory_util": [0.5], "whisper_model_size": [*SIZES]}
        ),
    )
    assert "best is none" in picture(lost) and texts(picture(lost)).count("900 MiB short") == 2


def test_a_winner_that_would_share_its_tile_with_today_has_one_of_its_own() -> None:
    lines = texts(picture(replayed()))
    assert {"26.5 %", "28.2 %", "True", "False"} <= set(lines)
    assert lines.count("winner") == 2 and lines.count("in use today") == 2, "in the tile and below"
    assert "tiny.en" not in lines
