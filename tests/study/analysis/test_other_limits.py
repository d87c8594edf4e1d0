"""A study is judged again under other limits, by the replies that its launches kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made.factories import make
from made.ramps import kept_cell, kept_of
from made.studies import copied
from processes.commands import run_script, run_study

from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.errors import BadInput
from objectives.recording.kept_replies import Rows
from study.report.html import html
from study.report.summary import Summary
from study.showcase.dataframe import overview_of, table

OWN = {"llm_ttft_p95_ms": DEFAULT_LIMITS["llm_ttft_p95_ms"]}
TIGHTER = {"llm_ttft_p95_ms": 700.0}


def replies(share: float, size: str) -> Rows | None:
    """Return what the launches kept: those of 40 % kept nothing."""
    return kept_of(share, size) if share > 0.42 else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a replay, and of one with other weights that has grown from it."""
    folder = tmp_path_factory.mktemp("kept")
    spec = make(folder, kept_cell, kept=replies, repeats=1)
    for more in ((), ("--preset", "capacity")):
        ran = run_study(spec, "--out", folder / "out", *more)
        assert ran.returncode == 0, ran.stderr
    return folder


def figures(overview: Summary) -> dict[str, tuple[object, ...]]:
    names = ("goodput_pct", "breaking_point_turns_per_s", "capacity_bound_by")
    return {
        str(t.allocation): (t.fitness, *(t.measurement.figure(n) for n in names))
        for t in overview.trials
        if t.measurement and t.allocation.share > 0.42
    }


def database(folder: Path) -> Path:
    return folder / "out/made/study.db"


@pytest.mark.parametrize("name", ["made-tournament-0", "made-tournament-0-2"])
def test_under_its_own_limits_a_study_is_what_it_was_also_one_that_has_grown(
    folder: Path, name: str
) -> None:
    own = overview_of(database(folder), name)
    again = overview_of(database(folder), name, limits=OWN)
    assert len(figures(own)) >= 4
    assert figures(again).keys() == figures(own).keys()
    for key, known in figures(own).items():
        *numbers, bound_by = figures(again)[key]
        assert numbers == pytest.approx(known[:-1], rel=1e-4)  # times are kept to 0.1 ms
        assert bound_by == known[-1]


def test_tighter_limits_lower_goodput_capacity_and_fitness_follows(folder: Path) -> None:
    before = database(folder).read_bytes()
    own, other = (
        figures(overview_of(database(folder), limits=limits)) for limits in (None, TIGHTER)
    )
    assert database(folder).read_bytes() == before
    assert {x[1] for x in own.values()} == {87.5} and {x[1] for x in other.values()} == {62.5}
    assert all(other[key][2] < own[key][2] for key in own)  # type: ignore[operator]
    assert {x[3] for x in other.values()} == {"llm_ttft_p95_ms"}
    assert [x[0] for x in other.values()] != [x[0] for x in own.values()]


def test_launches_that_kept_no_replies_have_neither_and_the_page_counts_them(folder: Path) -> None:
    overview = overview_of(database(folder), limits=TIGHTER)
    lost = [t.measurement for t in overview.trials if t.measurement and t.allocation.share < 0.42]
    assert lost and overview.unjudged == len({str(m) for m in lost}) <= len(lost)
    for m in lost:
        assert (m.goodput_pct, m.capacity_turns_per_s, m.capacity_or_0) == (None, None, None)
        assert m.capacity_bracket == () and m.figure("llm_ttft_p95_ms") == 300
    launches = sum(len(c.measured) for c in overview.configurations)
    assert (
        "The limits are not the study&#39;s own: speech answers within 1,000 ms, LLM begins within "
        "700 ms, LLM 100 ms a token. Goodput, capacity and fitness follow from the kept replies; "
        f"those of {overview.unjudged} of {launches} launches were not found" in html(overview)
    )


def test_a_study_that_was_moved_with_its_folder_keeps_them_and_its_file_alone_has_none(
    folder: Path, tmp_path: Path
) -> None:
    whole = copied(folder, tmp_path / "whole")
    assert figures(overview_of(database(whole), limits=TIGHTER)) == figures(
        overview_of(database(folder), limits=TIGHTER)
    )
    alone = Path(shutil.copy(database(folder), tmp_path / "study.db"))
    overview = overview_of(alone, limits=TIGHTER)
    assert overview.unjudged == sum(len(c.measured) for c in overview.configurations)
    assert [p.name for p in tmp_path.iterdir() if p != whole] == ["study.db"]


def test_replies_that_cannot_be_read_are_named(folder: Path, tmp_path: Path) -> None:
    broken = copied(folder, tmp_path)
    for file in (broken / "out/made/attachments").iterdir():
        if b'"scheduled_s"' in (data := file.read_bytes()):
            file.write_bytes(data[:-20])
    ran = run_script("report.py", database(broken), "--limits", "ttft_ms=700", "-o", tmp_path / "r")
    assert ran.returncode == 2 and len(ran.stderr.splitlines()) == 1
    assert "the replies of trial 0" in ran.stderr and "cannot be read" in ran.stderr
    assert not (tmp_path / "r").exists()


def changed(folder: Path, to: Path, ramp: int, change: Callable[[str], str | None]) -> Path:
    """Return a study whose kept windows (0) or ramps (1) were changed, or removed."""
    study = database(copied(folder, to))
    for file in (study.parent / "attachments").iterdir():
        text = file.read_text()
        if text.startswith(f'{{"ramp": {ramp}'):
            file.unlink()
            if (now := change(text)) is not None:
                file.write_text(now)
    return study


@pytest.mark.parametrize(
    ("ramp", "lines"), [(0, 3), (0, 0), (0, None), (1, 200), (1, None)], ids=str
)
def test_replies_of_which_lines_are_lost_are_not_found(
    folder: Path, tmp_path: Path, ramp: int, lines: int | None
) -> None:
    def cut(text: str) -> str | None:
        return None if lines is None else "".join(text.splitlines(keepends=True)[:lines])

    overview = overview_of(changed(folder, tmp_path, ramp, cut), limits=TIGHTER)
    assert overview.unjudged == sum(len(c.measured) for c in overview.configurations)
    assert {x[1:3] for x in figures(overview).values()} == {(None, None)}


@pytest.mark.parametrize("ramp", [0, 1])
@pytest.mark.parametrize(
    "odd",
    [
        {"tokens": "x"},
        {"turn": [1]},
        {"end_s": float("nan")},
        {"end_s": -99.0},
        {"error": [1]},
        {"service": 5},
        {"scheduled_s": None},
        None,
    ],
    ids=str,
)
def test_an_odd_line_of_replies_is_named_with_its_file(
    folder: Path, tmp_path: Path, ramp: int, odd: dict[str, object] | None
) -> None:
    def with_odd(text: str) -> str:
        first, *others = text.splitlines()
        line = "[" * 100_000 if odd is None else json.dumps(json.loads(first) | odd)
        return "\n".join([others[0], line, *others[1:]])

    study = changed(folder, tmp_path, ramp, with_odd)
    with pytest.raises(BadInput, match=r"replies of trial \d+ cannot be read: \S+:2: ") as error:
        overview_of(study, limits=TIGHTER)
    named = str(error.value).split("cannot be read: ")[1].split(":2: ")[0]
    assert Path(named).is_file() and len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"llm_ttft_p95_ms": "1500"}, "it is a number of ms, or None"),
        ({"llm_ttft_p95_ms": [1]}, "it is a number of ms, or None"),
        ({"llm_ttft_p95_ms": True}, "it is a number of ms, or None"),
        ({"llm_ttft_p95_ms": 10**400}, "it is from 1 to 1e7 ms"),
        ({5: 5}, "no limit is named 5 here"),
        ([("llm_ttft_p95_ms", 5)], "give ms by name"),
        ("llm_ttft_p95_ms=5", "give ms by name"),
        (5, "give ms by name"),
        (dict.fromkeys(DEFAULT_LIMITS), "no limit is left"),
    ],
    ids=lambda x: str(x)[:40],
)
def test_what_is_no_limit_of_a_notebook_is_one_line(folder: Path, limits: Any, words: str) -> None:
    for source in (database(folder), folder / "made.jsonl"):
        with pytest.raises(BadInput, match=words) as error:
            table(source, limits=limits)
        assert "\n" not in str(error.value)


def test_none_leaves_a_limit_out_as_in_a_spec(folder: Path) -> None:
    overview = overview_of(database(folder), limits={"llm_ttft_p95_ms": None})
    assert overview.context.limits == {k: v for k, v in DEFAULT_LIMITS.items() if k not in OWN}
    assert {x[1] for x in figures(overview).values()} == {100.0}


def test_the_report_and_the_frame_take_limits(folder: Path, tmp_path: Path) -> None:
    ran = run_script(
        "report.py", database(folder), "--limits", "ttft_ms=700", "-o", tmp_path / "r.html"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "LLM begins within 700 ms" in (tmp_path / "r.html").read_text()
    frame = table(database(folder), limits=TIGHTER)
    of_recording = table(folder / "made.jsonl", limits=TIGHTER)
    for launches in (frame, of_recording):
        known = launches[launches["vllm_memory_util"] > 0.42].dropna(subset="goodput_pct")
        assert set(known["goodput_pct"]) == {62.5}
        assert launches[launches["vllm_memory_util"] < 0.42]["goodput_pct"].isna().all()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (("llm_ttft_p95=1500",), "did you mean llm_ttft_p95_ms?"),
        (("stt_ttft_p95_ms=1500",), "no limit is named 'stt_ttft_p95_ms' here; did you mean"),
        (("latency=1",), "choose stt_latency_p95_ms, llm_latency_p95_ms, llm_ttft_p95_ms"),
        (("llm_ttft_p95_ms",), "write NAME=MS"),
        (("llm_ttft_p95_ms=fast",), "write NAME=MS"),
        (("llm_ttft_p95_ms=0",), "it is a time above 0 ms"),
        (("llm_ttft_p95_ms=-5",), "it is a time above 0 ms"),
        (("llm_ttft_p95_ms=nan",), "it is a time above 0 ms"),
        (("llm_ttft_p95_ms=inf",), "it is a time above 0 ms"),
        (("llm_ttft_p95_ms=0.5",), "it is from 1 to 1e7 ms"),
        (("llm_ttft_p95_ms=2e7",), "it is from 1 to 1e7 ms"),
        (("ttft_ms=1500", "llm_ttft_p95_ms=1000"), "twice"),
    ],
)
def test_what_is_no_limit_is_one_line(
    folder: Path, tmp_path: Path, limits: tuple[str, ...], words: str
) -> None:
    options = [x for limit in limits for x in ("--limits", limit)]
    ran = run_script("report.py", database(folder), *options, "-o", tmp_path / "r.html")
    assert ran.returncode == 2 and len(ran.stderr.splitlines()) == 1
    assert words in ran.stderr and not any(tmp_path.iterdir())
