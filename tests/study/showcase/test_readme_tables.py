"""The pages' tables show what was measured, and an outdated page is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from made.studies import Shared

from objectives.errors import BadInput
from study.report.summary import Summary, summary
from study.showcase.readme_tables import (
    BEGIN,
    END,
    GUIDE,
    NOTE,
    PICTURE,
    WIDE_BEGIN,
    rendered,
    stale,
    write_pages,
)
from study.storage.find import study_in


@pytest.fixture(scope="module")
def usual(shared: Shared) -> Summary:
    return summary(study_in(f"sqlite:///{shared.finished()}/out/made/study.db"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with the two pages and their marks."""
    (tmp_path / PICTURE).parent.mkdir(parents=True)
    (tmp_path / "README.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    (tmp_path / GUIDE).write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    (tmp_path / NOTE).parent.mkdir()
    (tmp_path / NOTE).write_text(f"before\n{WIDE_BEGIN}\nold\n{END}\nafter\n")
    return tmp_path


def test_pages_are_written_between_their_marks_and_are_current_then(
    usual: Summary, root: Path
) -> None:
    pages = rendered(usual, root)
    assert len(stale(pages, root)) == 4
    write_pages(pages, root)
    readme = (root / "README.md").read_text()
    assert (
        readme.startswith(f"before\n{BEGIN}\n")
        and readme.endswith(f"{END}\nafter\n")
        and "\nold\n" not in readme
    )
    assert "](study/guides/recording.svg)" in readme and "[recording](" in readme
    guide = (root / GUIDE).read_text()
    assert (
        "| LLM: 95 % answered within | 2,500 ms | 2,000 ms "
        "| 500 ms less (20 %), better, noise unknown |" in guide
    )
    note = (root / NOTE).read_text()
    assert note.startswith(f"before\n{WIDE_BEGIN}\n")
    assert all(page.endswith(f"{END}\nafter\n") for page in (guide, note))
    assert "\nold\n" not in guide + note
    assert "| **LLM share** | p < 0.001 |" in note
    assert stale(rendered(usual, root), root) == []
    assert not list(root.rglob("*.draft"))


def test_a_page_that_was_changed_between_its_marks_is_stale(usual: Summary, root: Path) -> None:
    write_pages(rendered(usual, root), root)
    guide = root / GUIDE
    guide.write_text(guide.read_text().replace("2,000 ms", "1,000 ms"))
    assert stale(rendered(usual, root), root) == [GUIDE]


def test_a_page_without_marks_is_refused_with_the_way_out(usual: Summary, root: Path) -> None:
    (root / "README.md").write_text("nothing")
    with pytest.raises(BadInput, match="put them where the tables belong"):
        rendered(usual, root)
