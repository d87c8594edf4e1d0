"""A capacity that pairs confirm is held at constant rates, before it is confirmed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.factories import STRESS, measurement, oom
from made.live_factories import promotion, shelf

from objectives.allocation import Allocation
from objectives.capacity.holds import Hold
from objectives.colocation.colocation import Colocation
from objectives.errors import SetupError
from objectives.evaluation import Failure, Job
from study.confirmation.confirm import confirm
from study.confirmation.journal import read_journal
from study.confirmation.live import measured as measuring
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.pairs.launcher import Launcher
from study.confirmation.pairs.part import Part
from study.confirmation.pairs.runner import Runner
from study.confirmation.records import PairLaunch
from study.confirmation.subject import subject
from study.confirmation.verdict_file import read_confirmation
from study.promotion.seal import verify
from study.report.headline import fresh
from study.rule.pairs import Role
from study.rule.rule import Claim


class Holding:
    """Servers that follow rates up to those that are told, and remember what they were asked."""

    def __init__(self, baseline: float, winner: float) -> None:
        self.baseline, self.winner = baseline, winner
        self.fails: Failure | None = None
        self.jobs: list[tuple[str, float, int]] = []
        self.seeds: list[int] = []

    def hold(self, colocation: Colocation, job: Job, per_s: float) -> Hold | Failure:
        self.jobs.append((job.folder.name, per_s, job.is_fresh))
        self.seeds.append(colocation.setting.workload.seed)
        if self.fails is not None:
            return self.fails
        follows = self.winner if "winner" in job.folder.name else self.baseline
        return Hold(per_s, 90.0, 200, 196 if per_s <= follows else 150)


@pytest.fixture
def latency(request: pytest.FixtureRequest) -> float:
    return getattr(request, "param", 1.0)


@pytest.fixture
def holding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, latency: float, one_generator: None
) -> Holding:
    """Pairs that show a winner of 4.5 turns/s beside 3, and what is asked of its servers then."""
    servers = Holding(2.75, 4.1)
    launched: list[str] = []

    def launch(launcher: Launcher, role: Role, allocation: Allocation, *_: object) -> PairLaunch:
        launched.append(role)
        is_winner = allocation.share == launcher.of.winner.share
        part = 1 + len(launched) % 3 / 1000
        ms = part * (latency if is_winner else 1.0)
        m = measurement(
            capacity_turns_per_s=(4.5 if is_winner else 3.0) * part,
            llm_latency_p95_ms=1000 * ms,
            stt_latency_p95_ms=300 * ms,
        )
        return PairLaunch(role, dict.fromkeys(launcher.of.workloads, m))

    def stress(runner: Runner, *_: object) -> bool:
        runner.journal = replace(runner.journal, stress=STRESS)
        return True

    monkeypatch.setattr(Launcher, "launch", launch)
    monkeypatch.setattr(Runner, "_stress", stress)

    def hold(colocation: Colocation, job: Job, per_s: float) -> Hold | Failure:
        return servers.hold(colocation, job, per_s)

    monkeypatch.setattr(Colocation, "hold", hold)
    monkeypatch.setattr(measuring, "bench", lambda *_: shelf(tmp_path / "fakes.yaml"))
    return servers


def confirmed(path: Path, claim: Claim = Claim.CAPACITY, **more: Any) -> tuple[int, list[str]]:
    lines: list[str] = []
    options = ConfirmOptions(out=path.parent / "out", **more)
    return confirm(subject(path, claim=claim, ramp_s=75), options, lines.append), lines


def journal_of(path: Path) -> Path:
    return path.parent / "out/fakes/confirmations" / path.stem / "pairs.jsonl"


def test_a_capacity_is_confirmed_once_the_winner_holds_more_than_the_baseline(
    tmp_path: Path, holding: Holding
) -> None:
    path = promotion(tmp_path)
    code, lines = confirmed(path)
    assert code == 0, lines
    names = [f"hold-{role}-{n}" for role in ("baseline", "winner") for n in (1, 2, 3)]
    assert [name for name, _, _ in holding.jobs] == names
    rates = [per_s for _, per_s, _ in holding.jobs]
    assert rates == pytest.approx([2.4, 2.7, 2.85, 3.6, 4.05, 4.275], rel=0.01)
    assert [is_fresh for _, _, is_fresh in holding.jobs] == [True, False, False] * 2
    assert holding.seeds[:3] == holding.seeds[3:]
    journal = read_journal(journal_of(path))
    assert len({*holding.seeds, *(p.seed for p in journal.pairs)}) == 3 + len(journal.pairs)
    sentence = "the winner holds 4.05 turns/s for 90 s with 98.0 % good; the baseline 2.70"
    assert sentence in lines
    data = verify(path)
    assert (data["status"], data["confirmation"]["holds"]["says"]) == ("confirmed", sentence)
    assert [h["is_held"] for h in data["confirmation"]["holds"]["winner"]] == [True, True, False]
    report = read_confirmation({**data, "measured_elsewhere": False}, path.name)
    assert f"At a constant rate: {sentence}." in report.checks
    assert fresh(report)[0].endswith(f"; {sentence}.")
    confirmed(path)
    assert len(holding.jobs) == 6  # nothing is left to hold


@pytest.mark.parametrize("latency", [1.0, 0.5], indirect=True)
@pytest.mark.parametrize("follows", [2.5, 0.1])
def test_what_is_not_held_above_the_baseline_is_not_confirmed_for_capacity(
    tmp_path: Path, holding: Holding, latency: float, follows: float
) -> None:
    holding.winner = follows
    path = promotion(tmp_path)
    code, lines = confirmed(path, Claim.EITHER)
    confirmation = verify(path)["confirmation"]
    assert not confirmation["claims"]["capacity"]["is_won"]
    assert confirmation["claims"]["latency"]["is_won"] is (latency < 1)
    if latency < 1:
        assert (code, confirmation["reasons"]) == (0, [])
        assert confirmation["says"].startswith("latency") and "capacity" not in confirmation["says"]
        report = read_confirmation({**verify(path), "measured_elsewhere": False}, path.name)
        assert report.held == ""
    else:
        assert (code, confirmation["causes"][0]["reason"]) == (5, "capacity_not_held")
        assert confirmation["reasons"] == [
            "the winner holds no rate above the 2.70 turns/s of the baseline"
        ]
    assert any(
        line.startswith("the winner holds") and "the baseline 2.70" in line for line in lines
    )


def test_a_run_that_is_cut_goes_on_with_the_next_hold(
    tmp_path: Path, holding: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = promotion(tmp_path)
    hold, is_cut = holding.hold, True

    def cut(colocation: Colocation, job: Job, per_s: float) -> Hold | Failure:
        if is_cut and len(holding.jobs) == 4:
            raise KeyboardInterrupt
        return hold(colocation, job, per_s)

    monkeypatch.setattr(Colocation, "hold", cut)
    with pytest.raises(KeyboardInterrupt):
        confirmed(path)
    assert verify(path)["status"] == "candidate"
    lines = [json.loads(line) for line in journal_of(path).read_text().splitlines()]
    assert [x["role"] for x in lines if x.get("stage") == "hold"] == ["baseline"] * 3 + ["winner"]
    is_cut = False
    assert confirmed(path)[0] == 0
    assert len(holding.jobs) == 6
    assert [h.role for h in read_journal(journal_of(path)).holds] == ["baseline"] * 3 + [
        "winner"
    ] * 3


def test_baseline_and_winner_hold_on_one_card_so_another_card_begins_the_holds_anew(
    tmp_path: Path, holding: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = promotion(tmp_path)
    confirmed(path, steps=9 + 4)  # the A/A pairs, the stress, six pairs; then four of six holds
    assert len(holding.jobs) == 4
    machine = shelf(tmp_path / "fakes.yaml")
    other = replace(machine.device.identity, uuid="shelf-1")
    monkeypatch.setattr(type(machine.device), "identity", other)
    code, lines = confirmed(path)
    assert code == 0
    assert "  4 holds of shelf-0: begun anew on shelf-1" in lines
    journal = read_journal(journal_of(path))
    assert [h.card for h in journal.holds] == ["shelf-1"] * 6
    assert [name for name, _, _ in holding.jobs[4:]] == [
        f"hold-{role}-{n}" for role in ("baseline", "winner") for n in (1, 2, 3)
    ]
    assert journal.left_out == ("4 holds of shelf-0: begun anew on shelf-1",)
    assert len(verify(path)["confirmation"]["left_out"]) == 1


def test_holds_of_another_card_go_only_for_one_that_was_measured(
    tmp_path: Path, holding: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = promotion(tmp_path)
    confirmed(path, steps=9 + 4)
    machine = shelf(tmp_path / "fakes.yaml")
    other = replace(machine.device.identity, uuid="shelf-1")
    monkeypatch.setattr(type(machine.device), "identity", other)
    holding.fails = Failure(oom(), is_ruled_out=False)
    with pytest.raises(SetupError, match="two in a row were disturbed"):
        confirmed(path)
    journal = read_journal(journal_of(path))
    assert [h.card for h in journal.holds] == ["shelf-0"] * 4
    assert [text[:6] for text in journal.left_out] == ["hold 1"] * 2


@pytest.mark.parametrize(("role", "code"), [("winner", 4), ("baseline", 5)])
def test_a_server_that_dies_while_a_rate_is_held_ends_the_confirmation(
    tmp_path: Path, holding: Holding, monkeypatch: pytest.MonkeyPatch, role: Role, code: int
) -> None:
    hold, failure = holding.hold, Failure(oom(), is_ruled_out=True)

    def dying(colocation: Colocation, job: Job, per_s: float) -> Hold | Failure:
        outcome = hold(colocation, job, per_s)
        return failure if role in job.folder.name else outcome

    monkeypatch.setattr(Colocation, "hold", dying)
    path = promotion(tmp_path)
    assert confirmed(path)[0] == code
    assert f"the {role} failed under a constant rate" in verify(path)["confirmation"]["reasons"][0]


def test_cards_that_share_the_pairs_hold_nothing_until_these_are_merged(
    tmp_path: Path, holding: Holding
) -> None:
    path = promotion(tmp_path)
    assert confirmed(path, part=Part(1, 2))[0] == 5
    assert confirmed(path, part=Part(2, 2))[0] == 5
    assert confirmed(path, take=(journal_of(path),))[0] == 5
    assert not holding.jobs
    data = verify(path)
    assert data["confirmation"]["causes"][0]["reason"] == "holds_not_measured"
    assert data["note"] == "its confirmation is not finished: the holds"
    assert confirmed(path)[0] == 0
    assert len(holding.jobs) == 6
