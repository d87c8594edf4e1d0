"""The timer says what keeps it from its work, in a sentence and an exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from study.deploy import dead_man


def test_a_timer_whose_deployment_is_gone_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "deployment-of-change.yaml"
    monkeypatch.setattr(sys, "argv", ["dead_man", str(tmp_path), str(copy)])
    assert dead_man.main() == 2
    assert f"error: {copy}: there is no such deployment file" in capsys.readouterr().out
