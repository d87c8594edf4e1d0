"""These tests show how a report finds a confirmation, marks its worth, or refuses an edit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.studies import Shared, copied, promotion_in
from optuna_dashboard import get_note
from processes.commands import ROOT, run_study

from objectives.allocation import Allocation
from objectives.errors import BadInput
from objectives.recording import read
from study.confirmation.confirm import confirm
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.lookup import confirmation_beside, confirmation_in
from study.confirmation.subject import subject
from study.dashboard.annotate import annotate
from study.promotion import seal
from study.report.headline import sentence
from study.report.html import html
from study.report.summary import summary
from study.storage.context import context_of
from study.storage.find import promotions_of, study_in


def page(folder: Path) -> str:
    url = f"sqlite:///{folder}/out/made/study.db"
    return html(summary(study_in(url), None, promotions_of(url)))


def dashboard(folder: Path) -> tuple[str, int]:
    """The note of the study in the dashboard, and the number of the trial that it calls best."""
    url = f"sqlite:///{folder}/out/made/study.db"
    study = study_in(url)
    annotate(study, promotions_of(url))
    return get_note(study_in(url)), study_in(url).user_attrs["answer"]


@pytest.fixture
def confirmed(shared: Shared, tmp_path: Path) -> Path:
    """Provide a promotion that its own recording has confirmed as far as it can."""
    return promotion_in(copied(replay_confirmed(shared), tmp_path))


def replay_confirmed(shared: Shared) -> Path:
    def build(folder: Path) -> None:
        copied(shared.studied(2), folder)
        path = promotion_in(folder)
        confirm(subject(path), ConfirmOptions(out=folder), lambda _: None)

    return shared.folder("confirmed", build)


def test_without_a_confirmation_the_report_speaks_of_none(shared: Shared) -> None:
    assert "Fresh launches of both, in turn" not in page(shared.studied(2))


def test_a_confirmation_is_shown_with_every_interval_and_what_was_not_done(
    confirmed: Path, tmp_path: Path
) -> None:
    text = page(tmp_path)
    assert "Fresh launches of both, in turn: inconclusive" in text
    assert (
        "Inconclusive after 2 pairs, all that the recording has, "
        "from a recording: not valid for this machine." in text
    )
    assert "Open: 2 of at least 6 pairs." in text
    assert "It was not repeated on another workload." in text
    assert (
        "The winner was not stressed" in text and "were chosen when the launches were known" in text
    )
    assert "Not measured, so not judged: goodput_pct (main), turn_ttft_ms (main)" in text
    assert "The claim, either, and the limits (stt_latency_p95_ms 1000, " in text
    assert "stt_latency_p95_ms</th><td>+0.0 %</td><td>+0.0 % to +0.0 %</td>" in text


def test_only_what_fresh_launches_confirmed_is_what_report_and_dashboard_tell_to_run(
    confirmed: Path, tmp_path: Path
) -> None:
    note, winner = dashboard(tmp_path)
    assert "**Answer: The best candidate is 55 %" in note and "(inconclusive after 2 pairs" in note
    data = yaml.safe_load(confirmed.read_text())
    data["confirmation"] |= {"verdict": "confirmed"}
    seal.put(data, confirmed)
    assert "**Answer: Run with 55 %" in dashboard(tmp_path)[0] and "Run with 55 %" in page(tmp_path)
    data["confirmation"] |= {"verdict": "rejected", "reasons": ["it ran out of memory"]}
    seal.put(data, confirmed)
    text = page(tmp_path)
    assert (
        "Stay with 50 % of the memory for the LLM, beside speech model base: "
        "55 % + base won the study" in text
    )
    assert "Against it: it ran out of memory." in text
    note, best = dashboard(tmp_path)
    assert (
        "**Answer: Stay with 50 % of the memory for the LLM" in note
        and "Against it: it ran out of memory." in note
    )
    assert "**winner**, rejected by fresh launches |" in note
    assert best == 0 != winner  # the baseline is measured first


def test_a_confirmation_that_was_edited_is_refused(confirmed: Path, tmp_path: Path) -> None:
    confirmed.write_text(
        confirmed.read_text().replace("verdict: inconclusive", "verdict: confirmed")
    )
    with pytest.raises(BadInput, match="changed after it was sealed"):
        page(tmp_path)
    note, _ = dashboard(tmp_path)
    assert (
        "**Answer: The best candidate is 55 %" in note
        and "**A confirmation was not counted**: " in note
    )


def test_a_confirmation_of_something_else_is_not_this_ones(confirmed: Path, tmp_path: Path) -> None:
    data = yaml.safe_load(confirmed.read_text())
    seal.put(data | {"study": "another"}, confirmed)
    confirmed.with_name("notes.yaml").write_text("- a list\n")
    assert "Fresh launches of both, in turn" not in page(tmp_path)


def beside(path: Path, **changes: object) -> Path:
    """Write a rejection by fresh launches beside the recording of what a replay promoted."""
    folder = path.parents[3]
    data = yaml.safe_load(path.read_text())
    data["confirmation"] |= {"verdict": "rejected", "reasons": ["it is slower by far"]}
    seal.put(
        data | {"study": "live", "measured_elsewhere": False} | changes, folder / "rejected.yaml"
    )
    return folder / "rejected.yaml"


def test_a_replay_tells_what_fresh_launches_showed_of_its_winner(
    confirmed: Path, tmp_path: Path
) -> None:
    """Whose promotion lies beside the recording: the replay's end and its report both say it."""
    rejected = beside(confirmed)
    again = run_study(tmp_path / "spec.yaml", "--out", tmp_path / "out")
    stays = (
        "Stay with 50 % of the memory for the LLM, beside speech model base: "
        "55 % + base won the study"
    )
    for text in (" ".join(again.stdout.split()), page(tmp_path), dashboard(tmp_path)[0]):
        assert (
            stays in text
            and "rejected after 2 pairs." in text
            and "Against it: it is slower by far." in text
        )
    rejected.unlink()
    with pytest.raises(BadInput, match=r"rejected\.yaml.* is gone; run the replay again"):
        page(tmp_path)
    again = run_study(tmp_path / "spec.yaml", "--out", tmp_path / "out")
    assert "The best candidate is 55 %" in again.stdout and "The best candidate is 55 %" in page(
        tmp_path
    )


@pytest.mark.parametrize(
    ("changes", "is_told"),
    [
        ({}, True),
        ({"device": {"product": "Made-up card", "total_mib": 24_000.0}}, False),
        ({"device": {"product": "Made-up card", "total_mib": "much"}}, False),
        ({"device": {"product": "Another card", "total_mib": 12_000.0}}, False),
        ({"baseline": {"vllm_memory_util": 0.40, "whisper_model_size": "base"}}, False),
        ({"versions": {"llm": {"vllm": "0.25.0"}, "stt": {}}}, False),
        (
            {
                "commands": {
                    "llm": "python -m serve --model b/other",
                    "stt": "python transcriber.py",
                }
            },
            False,
        ),
        ({"commands": None}, False),
    ],
)
def test_only_such_a_device_with_the_same_servers_and_baseline_tells_of_a_winner(
    confirmed: Path, changes: dict[str, object], is_told: bool
) -> None:
    path = beside(confirmed, **changes)
    context = context_of(study_in(f"sqlite:///{path.parent}/out/made/study.db"))
    winner = Allocation(yaml.safe_load(path.read_text())["parameters"])
    assert confirmation_beside(read(path.with_name("made.jsonl")), winner, context) == (
        path if is_told else None
    )


def test_an_edited_file_takes_back_no_rejection_and_lets_no_older_confirmation_pass(
    confirmed: Path,
) -> None:
    rejected = beside(confirmed)
    newer = yaml.safe_load(rejected.read_text())
    newer["confirmation"] |= {"verdict": "confirmed", "written_at": "2030-01-01T10:00:00"}
    edited = rejected.with_name("edited.yaml")
    seal.put(newer, edited)
    context = context_of(study_in(f"sqlite:///{rejected.parent}/out/made/study.db"))
    winner = Allocation(newer["parameters"])

    def found() -> Path | None:
        return confirmation_beside(read(rejected.with_name("made.jsonl")), winner, context)

    assert found() == edited
    edited.write_text(edited.read_text().replace("pairs: 2", "pairs: 3"))
    assert found() == rejected
    older = yaml.safe_load(rejected.read_text())
    older["confirmation"] |= {"verdict": "confirmed"}
    seal.put(older, rejected)
    assert found() == edited
    with pytest.raises(BadInput, match="changed after it was sealed"):
        confirmation_in(edited, winner)
    edited.unlink()


def figure(**changes: Any) -> dict[str, Any]:
    usual = {"gain_pct": 1.0, "low_pct": 0.5, "high_pct": 2.0}
    return {"figures": {"main": {"llm_latency_ms": usual | changes}}}


OLDER = {"standing": "worse"}
NONSENSE: list[dict[str, Any]] = [
    {"verdict": "banana"},
    {"pairs": -1},
    {"pairs": "2\x1b[31m"},
    {"rule": {"claim": "either", "limits": {"llm_tpot_p95_ms": 10**400}}},
    figure(gain_pct=float("nan")),
    figure(low_pct="much"),
    {**figure(), "limits": {"main": {"llm_latency_ms": {"standing": "banana"}}}},
    {"rule": None, "margin_pct": 10**400},
    {"rule": None, "margin_pct": 5.0, **figure(**OLDER, mean_log_ratio=-1e5)},
    {"rule": None, "margin_pct": 5.0, **figure(**OLDER, mean_log_ratio=float("nan"))},
]


@pytest.mark.parametrize("changes", NONSENSE)
def test_a_sealed_confirmation_of_nonsense_is_refused_in_a_sentence(
    confirmed: Path, changes: dict[str, Any]
) -> None:
    data = yaml.safe_load(confirmed.read_text())
    # one of 0.1 has no rule
    changed = {k: v for k, v in (data["confirmation"] | changes).items() if v is not None}
    path = confirmed.parents[3] / "nonsense.yaml"
    seal.put(data | {"confirmation": {"pairs_more": None, "stress": None, **changed}}, path)
    try:
        with pytest.raises(BadInput, match="not as this version writes it"):
            confirmation_in(path, Allocation(data["parameters"]))
    finally:
        path.unlink()


def test_what_a_confirmation_showed_of_each_figure_and_limit_is_told_beside_its_interval(
    confirmed: Path,
) -> None:
    data = yaml.safe_load(confirmed.read_text())
    changes = figure() | {
        "worse": {"main": ["llm_latency_ms"]},
        "limits": {"main": {"llm_latency_ms": {"standing": "inside"}}},
    }
    path = confirmed.parents[3] / "changed.yaml"
    seal.put(data | {"confirmation": data["confirmation"] | changes}, path)
    confirmation = confirmation_in(path, Allocation(data["parameters"]))
    path.unlink()
    assert confirmation is not None
    [line] = confirmation.lines
    assert (line.gain, line.interval) == ("+1.0 %", "+0.5 % to +2.0 %")
    assert (line.standing, line.sense, line.is_worse) == ("worse, inside its limit", "worse", True)


def test_a_confirmation_of_0_1_is_shown_as_what_it_is() -> None:
    path = ROOT / "tests/data/h100/h100_rejected.yaml"
    winner = Allocation({"vllm_memory_util": 0.55, "whisper_model_size": "base"})
    confirmation = confirmation_in(path, winner)
    assert confirmation is not None
    assert (
        confirmation.standing
        == "rejected after 4 pairs, by version 0.1's rule: nothing worse by a margin"
    )
    assert confirmation.against == ("llm_tpot_ms under main is worse by more than 5 %",)
    assert "llm_latency_ms, and by how much all else may be worse (5 %)" in confirmation.checks[-1]
    assert {line.metric for line in confirmation.lines if line.is_worse} == {"llm_tpot_ms"}
    assert "to its margin, as 0.1 asked" in confirmation.how


def test_a_replay_that_was_killed_says_to_run_it_again_before_its_winner_is_believed(
    confirmed: Path,
) -> None:
    study = study_in(f"sqlite:///{confirmed.parents[3]}/out/made/study.db")
    report = summary(study)
    assert sentence(report).startswith("The best candidate is 55 %")
    assert sentence(replace(report, is_ended=False)).startswith("Run the replay again")


def test_a_confirmation_beside_the_recording_that_is_of_another_kind_is_said_in_a_line(
    confirmed: Path, tmp_path: Path
) -> None:
    seal.put(
        yaml.safe_load(confirmed.read_text()) | {"confirmation": {"verdict": "rejected"}},
        tmp_path / "other.yaml",
    )
    confirmed.unlink()
    again = run_study(tmp_path / "spec.yaml", "--out", tmp_path / "out")
    assert again.returncode == 0 and "The best candidate is 55 %" in again.stdout
    assert "its confirmation is not as this version writes it" in " ".join(again.stdout.split())


def test_a_confirmation_beside_the_recording_that_was_edited_counts_for_nothing_and_is_said(
    confirmed: Path, tmp_path: Path
) -> None:
    confirmed.rename(tmp_path / "edited.yaml").write_text(
        (tmp_path / "edited.yaml")
        .read_text()
        .replace("verdict: inconclusive", "verdict: confirmed")
    )
    again = run_study(tmp_path / "spec.yaml", "--out", tmp_path / "out")
    assert again.returncode == 0 and "changed after it was sealed" in " ".join(again.stdout.split())
    assert "The best candidate is 55 %" in again.stdout
