"""This module confirms the fake promotion, with launches that take no time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.factories import STRESS, measurement

from objectives.allocation import Allocation
from objectives.measurement import Measurement
from study.confirmation import journal
from study.confirmation.confirm import confirm
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.pairs.launcher import Launcher
from study.confirmation.pairs.runner import Runner
from study.confirmation.records import PairLaunch
from study.confirmation.subject import subject
from study.rule.pairs import Role


def sooner(ms: float) -> Measurement:
    """Return a launch whose LLM answers in this time, and speech in three times of it."""
    return measurement(llm_latency_p95_ms=ms, stt_latency_p95_ms=3 * ms)


def instantly(monkeypatch: pytest.MonkeyPatch, *, is_stressed: bool = False) -> list[str]:
    """Let launches take no time; return their roles: the winner's LLM answers sooner.

    Args:
        is_stressed: The stress is real.
    """
    launched: list[str] = []

    def launch(launcher: Launcher, role: Role, allocation: Allocation, *_: object) -> PairLaunch:
        launched.append(role)
        ms = 1000 * (allocation.share + len(launched) % 3 / 1000)
        return PairLaunch(role, dict.fromkeys(launcher.of.workloads, sooner(ms)))

    def stress(runner: Runner, *_: object) -> bool:
        runner.journal = replace(runner.journal, stress=STRESS)
        return True

    monkeypatch.setattr(Launcher, "launch", launch)
    if not is_stressed:
        monkeypatch.setattr(Runner, "_stress", stress)
    return launched


def confirmed(
    path: Path, *, options: dict[str, Any] | None = None, **of_subject: Any
) -> tuple[int, list[str]]:
    """Confirm a promotion; return the exit code and what was said."""
    lines: list[str] = []
    confirm_options = ConfirmOptions(**{"out": path.parent / "out", **(options or {})})
    return confirm(subject(path, **of_subject), confirm_options, lines.append), lines


def folder_of(path: Path) -> Path:
    """Return the folder of a promotion's confirmation."""
    return path.parent / "out" / "fakes" / "confirmations" / path.stem


def journal_of(path: Path) -> Path:
    """Return the journal of a promotion's confirmation."""
    return folder_of(path) / journal.JOURNAL_FILE
