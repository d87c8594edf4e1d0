"""These tests pair a recording's launches: each once, inconclusive under six, never applicable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from made.factories import cell, changed, oom
from made.studies import Shared, copied, promotion_in
from processes.commands import run_script

from objectives.errors import BadInput
from objectives.measurement import Measurement
from objectives.recording import Recording, read, write
from study.confirmation.confirm import confirm
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.pairs.part import Part
from study.confirmation.pairs.recorded import from_recording
from study.confirmation.records import Head, PairsJournal
from study.confirmation.subject import Subject, subject
from study.confirmation.verdict.arms import launch_noise
from study.confirmation.verdict_file import read_confirmation
from study.promotion.seal import verify
from study.rule.rule import Claim

Studied = Callable[..., Path]
HEAD = Head(promotion="p", claim="either", workloads={}, servers={}, product="x", total_mib=1)


@pytest.fixture
def studied(shared: Shared, tmp_path: Path) -> Studied:
    """Provide `studied(repeats, extra_baselines)`: a promotion whose launches differ a little."""

    def make(*how: int) -> Path:
        return promotion_in(copied(shared.studied(*how), tmp_path))

    return make


def journal_of(of: Subject, pairs: int = 100) -> PairsJournal:
    assert isinstance(of.spec.measure, Path)
    return from_recording(of, read(of.spec.measure), HEAD, pairs)


def test_a_recording_has_no_held_out_workload(studied: Studied, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a recording holds the study's own workload alone"):
        subject(studied(2), workloads=["long_context"])


def test_a_recording_has_the_ramps_that_it_has(studied: Studied) -> None:
    with pytest.raises(BadInput, match="--ramp: a recording has the ramps that were measured"):
        subject(studied(2), claim=Claim.CAPACITY, ramp_s=75)


def test_a_recording_is_judged_whole(studied: Studied, tmp_path: Path) -> None:
    for options in (
        {"part": Part(1, 2)},
        {"take": (tmp_path / "pairs.jsonl",)},
        {"devices": "all"},
    ):
        with pytest.raises(BadInput, match="--part, --take and --devices are for what is"):
            confirm(subject(studied(2)), ConfirmOptions(out=tmp_path, **options), print)


def test_two_launches_are_inconclusive_and_the_promotion_stays_a_replay(
    studied: Studied, tmp_path: Path
) -> None:
    path = studied(2)
    ran = run_script("confirm.py", path, "--claim", "latency", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (5, "")
    assert "inconclusive after 2 pairs" in ran.stdout and "never applicable" in ran.stdout
    data = verify(path)
    confirmation = data["confirmation"]
    assert (data["status"], data["measured_elsewhere"]) == ("replay", True)
    assert (confirmation["verdict"], confirmation["pairs"], confirmation["stress"]) == (
        "inconclusive",
        2,
        None,
    )
    assert confirmation["order"] == "as recorded, not interleaved"


def test_seven_launches_may_confirm_and_the_promotion_still_stays_a_replay(
    studied: Studied, tmp_path: Path
) -> None:
    path = studied(7)
    lines: list[str] = []
    code = confirm(subject(path, claim=Claim.LATENCY), ConfirmOptions(out=tmp_path), lines.append)
    data = verify(path)
    assert (code, data["confirmation"]["verdict"], data["status"]) == (0, "confirmed", "replay"), (
        lines
    )
    assert data["confirmation"]["pairs"] == 6  # not more than were asked for


def test_each_launch_is_drawn_once_and_what_is_left_of_the_baseline_is_compared_with_itself(
    studied: Studied,
    tmp_path: Path,
) -> None:
    of = subject(studied(3, 4))
    journal = journal_of(of)
    assert (len(journal.of("ab")), len(journal.of("aa"))) == (3, 2)
    launches = [id(launch.measured["main"]) for p in journal.pairs for launch in p.launches]
    assert len(set(launches)) == len(launches) == 10
    assert len(journal.of("ab")) == len(
        {p.of("baseline").measured["main"].figure("llm_latency_ms") for p in journal.of("ab")}
    )


def test_an_entry_whose_servers_were_both_kept_is_no_launch_of_its_own(
    studied: Studied, tmp_path: Path
) -> None:
    of = subject(studied(3))
    assert isinstance(of.spec.measure, Path)
    recording = read(of.spec.measure)
    kept = tuple(
        replace(e, measurement=changed(e.measurement, llm_start_s=0.0, stt_start_s=0.0))
        if isinstance(e.measurement, Measurement) and e.repeat == 3
        else e
        for e in recording.entries
    )
    assert (
        len(
            from_recording(of, Recording(recording.path, recording.provenance, kept), HEAD, 9).of(
                "ab"
            )
        )
        == 2
    )


def test_the_default_claim_is_either_and_the_limits_are_the_specs(
    studied: Studied, tmp_path: Path
) -> None:
    path = studied(7)
    rule = subject(path).rule
    assert (rule.claim, rule.limits) == ("either", subject(path).spec.limits)
    lines: list[str] = []
    confirm(subject(path), ConfirmOptions(out=tmp_path), lines.append)
    confirmation = verify(path)["confirmation"]
    assert (confirmation["verdict"], confirmation["pairs"], confirmation["holds"]) == (
        "confirmed",
        6,
        None,
    )
    assert "held at a constant rate: not measured, a recording has no holds" in lines
    report = read_confirmation(verify(path), path.name)
    assert "Its capacity was not held at a constant rate: not measured." in report.checks
    assert [claim for claim, outcome in confirmation["claims"].items() if outcome["is_won"]] == [
        "capacity",
        "latency",
    ]
    assert confirmation["says"].startswith("capacity") and "latency" not in confirmation["says"]
    assert any(
        check.startswith("Also shown: latency at today's load: +") for check in report.checks
    )


def test_noise_is_that_of_one_launch() -> None:
    assert launch_noise([None, 0.1]) is None
    assert launch_noise([]) is None


@pytest.mark.parametrize("size", ["base"])
def test_a_recording_where_the_winner_failed_once_rejects_it(
    studied: Studied, tmp_path: Path, size: str
) -> None:
    of = subject(studied(3))
    assert isinstance(of.spec.measure, Path)
    recording = read(of.spec.measure)
    entries = [
        replace(e, measurement=None, diagnosis=oom())
        if e.repeat == 2 and dict(e.values) == dict(of.winner.values)
        else e
        for e in recording.entries
    ]
    write(of.spec.measure, recording.provenance, entries)
    assert confirm(of, ConfirmOptions(out=tmp_path), lambda _: None) == 4
    assert (
        "the winner failed under main: oom_budget" in verify(of.path)["confirmation"]["reasons"][0]
    )
    assert cell(0.5, size) is not None
