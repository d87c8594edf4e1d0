"""Where nothing that works is in use, fresh launches show that the winner works, and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.factories import STRESS, measurement, oom
from made.live_factories import promotion, shelf

from objectives.allocation import Allocation
from objectives.errors import BadInput
from study.confirmation.confirm import confirm
from study.confirmation.live import measured as measuring
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.pairs.launcher import Launcher
from study.confirmation.pairs.runner import Runner
from study.confirmation.records import FailedLaunch, PairLaunch
from study.confirmation.subject import subject
from study.confirmation.verdict_file import read_confirmation
from study.promotion.seal import verify
from study.rule.pairs import Role
from study.rule.rule import Claim

TODAY, WINNER = 0.1, 0.06  # shares
Launched = list[float]


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Launched]:
    """Return a function that says which shares fail; it returns the list of what is launched."""
    launched: Launched = []

    def set_up(*failing: float, **figures: Any) -> Launched:
        def launch(
            launcher: Launcher, role: Role, allocation: Allocation, *_: object
        ) -> PairLaunch | FailedLaunch:
            launched.append(allocation.share)
            if allocation.share in failing:
                return FailedLaunch(role, "main", oom())
            n = len(launched) % 3
            measured = measurement(llm_latency_p95_ms=500.0 + n, **figures)
            return PairLaunch(role, dict.fromkeys(launcher.of.workloads, measured))

        monkeypatch.setattr(Launcher, "launch", launch)
        return launched

    def stress(runner: Runner, *_: object) -> None:
        runner.journal = replace(runner.journal, stress=STRESS)

    monkeypatch.setattr(Runner, "_stress", stress)
    monkeypatch.setattr(measuring, "bench", lambda *_: shelf(tmp_path / "fakes.yaml"))
    return set_up


def confirmed(path: Path) -> tuple[int, str, dict[str, Any]]:
    """Confirm a promotion; return the exit code, what was said, and the confirmation."""
    lines: list[str] = []
    code = confirm(subject(path), ConfirmOptions(out=path.parent / "out"), lines.append)
    return code, "\n".join(lines), verify(path)["confirmation"]


def test_a_winner_that_works_each_time_is_confirmed_and_so_is_that_todays_fails(
    tmp_path: Path, launches: Any
) -> None:
    launched = launches(TODAY)
    path = promotion(tmp_path, baseline_works=False, measured_elsewhere=False)
    code, text, confirmation = confirmed(path)
    assert (code, launched) == (0, [TODAY, *[WINNER] * 12])
    assert confirmation["says"] == (
        "it worked in 12 of 12 fresh launches, so at most 22 % of its launches fail "
        "(95 % confidence); it was compared with nothing"
    )
    assert "failed again: oom_budget" in confirmation["today"] and confirmation["today"] in text
    assert (confirmation["rule"]["claim"], confirmation["claims"], confirmation["worse"]) == (
        "works",
        {},
        {},
    )
    read = read_confirmation(verify(path), path.name)
    assert (read.verdict, read.lines) == ("confirmed", ())
    assert any("failed again: oom_budget" in check for check in read.checks)
    again, _, _ = confirmed(path)
    assert (again, len(launched)) == (0, 13), "nothing is launched twice"


def test_what_is_in_use_and_works_after_all_ends_it(tmp_path: Path, launches: Any) -> None:
    launched = launches()
    code, text, confirmation = confirmed(promotion(tmp_path, baseline_works=False))
    assert (code, launched, confirmation["verdict"]) == (5, [TODAY], "inconclusive")
    assert "works after all; run the study again, which then compares with it" in text


def test_a_newcomers_winner_is_launched_alone(tmp_path: Path, launches: Any) -> None:
    launched = launches()
    path = promotion(tmp_path, {"baseline": "none"}, baseline=None, baseline_works=None)
    code, text, confirmation = confirmed(path)
    assert (code, launched, confirmation["today"]) == (0, [WINNER] * 12, None)
    assert "nothing in use; winner" in text


def test_a_winner_that_fails_is_rejected(tmp_path: Path, launches: Any) -> None:
    launches(TODAY, WINNER)
    code, text, confirmation = confirmed(promotion(tmp_path, baseline_works=False))
    assert (code, confirmation["causes"][0]["reason"]) == (4, "winner_failed")
    assert "it worked in 0 fresh launches so far" in text


def test_a_limit_that_it_does_not_keep_is_told_and_failing_requests_reject(
    tmp_path: Path, launches: Any
) -> None:
    launches(TODAY, llm_ttft_p95_ms=5000.0)
    code, _, confirmation = confirmed(promotion(tmp_path, baseline_works=False))
    assert (
        code == 0 and "not shown to keep these limits: llm_ttft_p95_ms 2000" in confirmation["says"]
    )
    launches(TODAY, failure_rate=0.2)
    path = promotion(tmp_path, baseline_works=False, written_at="later")
    lines: list[str] = []
    options = ConfirmOptions(out=tmp_path / "other")
    assert confirm(subject(path), options, lines.append) == 4
    assert any("20.0 % of the requests failed under main, at most 1 %" in line for line in lines)


def test_a_claim_that_nothing_can_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="leave --claim out"):
        subject(promotion(tmp_path, baseline_works=False), claim=Claim.LATENCY)
