"""The pages' picture and tables show what was measured, and an outdated page is noticed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from commands import run_study
from factories import SIZES, make, oom, write_spec
from studies import Shared

from objectives.errors import BadInput
from study.report.charts.space_picture import picture
from study.report.summary import Summary, summary
from study.showcase.readme_tables import (
    BEGIN,
    END,
    PICTURE,
    WIDE_BEGIN,
    rendered,
    stale,
    write_pages,
)
from study.storage.find import study_in

SVG = "{http://www.w3.org/2000/svg}"


def summarized(folder: Path, spec: Path) -> Summary:
    assert run_study(spec, "--out", folder / "out").returncode in (0, 4)
    return summary(study_in(f"sqlite:///{folder}/out/made/study.db"))


@pytest.fixture(scope="module")
def usual(shared: Shared) -> Summary:
    return summary(study_in(f"sqlite:///{shared.finished()}/out/made/study.db"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with the two pages and their marks."""
    (tmp_path / PICTURE).parent.mkdir(parents=True)
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    guide = f"before\n{BEGIN}\nold\n{END}\nbetween\n{WIDE_BEGIN}\nold\n{END}\nafter\n"
    (tmp_path / "study/guides/recording.md").write_text(guide)
    return tmp_path


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


def test_pages_are_written_between_their_marks_and_are_current_then(
    usual: Summary, root: Path
) -> None:
    pages = rendered(usual, root)
    assert len(stale(pages, root)) == 3
    write_pages(pages, root)
    readme = (root / "README.md").read_text()
    assert (
        readme.startswith(f"before\n{BEGIN}\n")
        and readme.endswith(f"{END}\nafter\n")
        and "\nold\n" not in readme
    )
    assert (
        "| LLM: 95 % answered within | 2,500 ms | 2,000 ms "
        "| -500 ms (-20 %), better, noise unknown |" in readme
    )
    guide = (root / "study/guides/recording.md").read_text()
    assert (
        f"{END}\nbetween\n{WIDE_BEGIN}\n" in guide
        and guide.endswith(f"{END}\nafter\n")
        and "\nold\n" not in guide
    )
    assert "| **LLM share** | p < 0.001 |" in guide
    assert stale(rendered(usual, root), root) == []
    assert not list(root.rglob("*.draft"))


def test_a_page_that_was_changed_between_its_marks_is_stale(usual: Summary, root: Path) -> None:
    write_pages(rendered(usual, root), root)
    (root / "README.md").write_text(
        (root / "README.md").read_text().replace("2,000 ms", "1,000 ms")
    )
    assert stale(rendered(usual, root), root) == [Path("README.md")]


def test_a_page_without_marks_is_refused_with_the_way_out(usual: Summary, root: Path) -> None:
    (root / "README.md").write_text("nothing")
    with pytest.raises(BadInput, match="put them where the tables belong"):
        rendered(usual, root)
