"""Two studies are told side by side, and what keeps their figures from being compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made.studies import Shared
from processes.commands import ROOT, run_script
from rigs.browsers import headless_chromium, overflow_px

from study.report.html import html
from study.report.studies.side_by_side import side_by_side
from study.report.summary import Summary, summary
from study.storage.find import study_in


def of(database: Path) -> Summary:
    return summary(study_in(f"sqlite:///{database}"))


@pytest.fixture(scope="module")
def databases(shared: Shared) -> list[Path]:
    return [
        shared.pictured() / "out/made/study.db",
        shared.shipped() / "artifacts/h200_recorded/study.db",
    ]


@pytest.fixture(scope="module")
def pages(databases: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Return the page of one study and that of both, by their number."""
    folder = tmp_path_factory.mktemp("pages")
    made = {count: folder / f"{count}.html" for count in (1, 2)}
    for count, page in made.items():
        assert run_script("report.py", *databases[-count:], "-o", page).returncode == 0
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless_chromium() as chrome:
        yield chrome


def test_the_command_writes_both_answers_on_one_page(databases: list[Path], tmp_path: Path) -> None:
    ran = run_script("report.py", *databases, "-o", tmp_path / "two.html")
    assert (ran.returncode, ran.stderr) == (0, "")
    text = (tmp_path / "two.html").read_text()
    assert "2 studies side by side" in text and "href" not in text
    assert "55 % of the memory for the LLM" in text and "28.2 % of the memory" in text
    assert "Not the same in all: device" in text


def test_what_is_the_same_is_no_caution(databases: list[Path]) -> None:
    same = of(databases[0])
    text = side_by_side([same, same])
    assert "Not the same" not in text and 'class="differs"' not in text


def test_a_study_is_named_of_one_storage_only(databases: list[Path], tmp_path: Path) -> None:
    ran = run_script("report.py", *databases, "--study", "made-tournament-0", cwd=tmp_path)
    assert ran.returncode == 2 and "--study names one of a single STORAGE" in ran.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("width", [390, 768, 1280])
@pytest.mark.parametrize("count", [1, 2])
def test_no_page_is_wider_than_its_screen(
    pages: dict[int, Path], browser: Any, width: int, count: int
) -> None:
    browser.get(pages[count].as_uri())
    assert overflow_px(browser, width) == 0


def test_no_name_runs_into_the_next_column_and_four_studies_fit_a_screen(
    browser: Any, tmp_path: Path
) -> None:
    one = of(ROOT / "objectives/recordings/of_notes/h200_samplers.db")
    for name, text in (("1.html", html(one)), ("4.html", side_by_side([one] * 4))):
        (tmp_path / name).write_text(text)
    browser.get((tmp_path / "1.html").as_uri())
    cells = "[...document.querySelectorAll('.compared th, .compared td')]"
    wider = f"return {cells}.filter(c => c.scrollWidth > c.clientWidth).length"
    assert len(one.differences) and browser.execute_script(wider) == 0
    browser.get((tmp_path / "4.html").as_uri())
    tables = "[...document.querySelectorAll('.wide')]"
    cut = f"return {tables}.filter(c => c.scrollWidth > c.clientWidth).length"
    assert browser.execute_script(cut) == 0


def test_in_the_dark_the_page_is_dark_and_a_picture_keeps_its_paper(
    databases: list[Path], browser: Any, tmp_path: Path
) -> None:
    run_script("report.py", databases[0], "-o", tmp_path / "r.html")
    papers = []
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        browser.get((tmp_path / "r.html").as_uri())
        of_paper = "return getComputedStyle(document.querySelector(arguments[0])).backgroundColor"
        papers.append([browser.execute_script(of_paper, name) for name in ("body", "figure")])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert papers[0][0] == "rgb(255, 255, 255)"
    assert papers[1] == ["rgb(13, 17, 23)", "rgb(255, 255, 255)"]
