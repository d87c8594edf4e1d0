"""The report is one file that needs nothing else, says what is known, and survives hostile logs."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from made.factories import Outcome, cell, make, measurement, oom
from made.studies import Shared
from processes.commands import run_script, run_study

from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from study.report.html import html
from study.report.summary import summary
from study.storage.find import study_in


@pytest.fixture(scope="module")
def ended(shared: Shared) -> Path:
    return shared.pictured() / "out" / "made" / "study.db"


def page(folder: Path, cells: object) -> str:
    run_study(make(folder, cells, repeats=1), "--out", folder / "out")  # type: ignore[arg-type]
    return html(summary(study_in(f"sqlite:///{folder}/out/made/study.db")))


class Tags(HTMLParser):
    """The parser keeps every tag with its attributes; void tags close themselves."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_report_is_one_file_that_asks_the_network_for_nothing(
    ended: Path, tmp_path: Path
) -> None:
    ran = run_script("report.py", ended, "-o", tmp_path / "r.html")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]
    text = (tmp_path / "r.html").read_text()
    tags = Tags(text)
    assert tags.open == []
    assert not [
        t
        for t, a in tags.tags
        if t in ("script", "link", "img", "iframe") or {"src", "href"} & set(a)
    ]
    assert "http" not in text and "url(" not in text


def test_it_says_which_configuration_to_run_and_how_sure(ended: Path) -> None:
    text = html(summary(study_in(f"sqlite:///{ended}")))
    assert (
        "The best candidate is 55 % of the memory for the LLM, "
        "beside speech model base (today: 50 % + base)" in text
    )
    assert "Better: 50 % more capacity (12.00 turns/s instead of 8.00; from 1 launch each" in text
    assert "A replay, measured elsewhere: not valid for this machine." in text
    assert "Scored higher, but held back" in text and "the clips are too few to tell" in text
    assert "smoothed" not in text and "standard error" in text
    assert "580.1" in text and "SHA-256" in text and "vllm 0.26.0" in text


def test_what_was_not_measured_says_so_and_no_zero_is_invented(tmp_path: Path) -> None:
    def bare(share: float, size: str) -> Outcome:
        return (
            oom(None)
            if share > 0.57
            else measurement(llm_ttft_p95_ms=None, capacity_turns_per_s=None)
        )

    text = page(tmp_path, bare)
    row = re.search(r"LLM: 95 % begin to answer within</th>(.*?)</tr>", text, re.DOTALL)
    assert row and row[1].count("not measured") == 2
    assert "No picture of memory over time: it was not recorded." in text
    assert "Capacity was not measured and counts for nothing here" in text
    assert "MiB short" not in text


def test_every_figure_says_in_words_what_it_shows(ended: Path) -> None:
    text = html(summary(study_in(f"sqlite:///{ended}")))
    pictures = re.findall(r'role="img"><title>(.*?)</title><desc>(.*?)</desc>', text)
    assert len(pictures) == 4
    assert any("55 % + base (winner): 2,000 ms, 12.00 turns/s" in words for _, words in pictures)
    assert any("starting LLM 42 s" in words for _, words in pictures)


def test_a_log_line_cannot_write_into_the_page(tmp_path: Path) -> None:
    def hostile(share: float, size: str) -> Outcome:
        if share > 0.57:
            return Diagnosis(
                "oom_startup",
                "llm",
                FailurePhase.START,
                None,
                "<script>alert(1)</script> & </code>",
            )
        return cell(share, size)

    text = page(tmp_path, hostile)
    assert (
        "<script>" not in text
        and "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;/code&gt;" in text
    )


def test_where_nothing_works_the_report_says_so(tmp_path: Path) -> None:
    text = page(tmp_path, lambda *_: oom(900.0))
    assert "No answer: nothing that was launched works." in text
    assert text.count("900 MiB short: the device has not the share") >= 1
    assert "None of them has anything to choose from." in text and "choose the same" not in text


def test_where_the_baseline_stays_it_is_compared_with_what_came_closest(tmp_path: Path) -> None:
    def unusable(share: float, size: str) -> Outcome:
        lost = measurement(llm_latency_p95_ms=float("inf"), failure_rate=0.2)
        return cell(share, size) if size == "tiny" or share == 0.5 else lost

    text = page(tmp_path, unusable)
    assert "Stay with 50 % of the memory for the LLM, beside speech model base." in text
    assert "Nothing that may be promoted scored better than what is in use today." in text
    assert "held back:<br>55 % + tiny" in text and "200 ms less (25 %), better" in text


def test_a_preset_changes_the_weights_and_says_so(ended: Path, tmp_path: Path) -> None:
    ran = run_script("report.py", ended, "-o", tmp_path / "r.html", "--preset", "capacity")
    assert ran.returncode == 0
    text = (tmp_path / "r.html").read_text()
    assert "The weights are those of the preset capacity, not the study&#39;s own." in text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["no/study.db"],
            "there is no study in no/study.db; name the study.db of a study that ran",
        ),
        ([], "run python scripts/run_study.py first"),
        (["{db}", "--study", "made-tournament-1"], "did you mean made-tournament-0?"),
        (
            ["{db}", "-o", "no/folder/r.html"],
            "no/folder/r.html cannot be written (No such file or directory)",
        ),
        (["postgresql://nobody@127.0.0.1:1/none"], "cannot open the storage"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    ended: Path, tmp_path: Path, arguments: list[str], error: str
) -> None:
    ran = run_script("report.py", *(a.format(db=ended) for a in arguments), cwd=tmp_path)
    assert error in ran.stderr
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["/dev/null", ".", "/"])
def test_what_is_no_file_is_never_replaced(ended: Path, path: str) -> None:
    ran = run_script("report.py", ended, "-o", path)
    assert (ran.returncode, ran.stderr) == (2, f"error: {path} is no file; name one with -o\n")
    assert Path("/dev/null").is_char_device()
