"""`--timeout` takes the same seconds in every command that measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from processes.commands import exit_code, main_of

COMMANDS = {"run_study.py": (), "record.py": ("spec.yaml",), "confirm.py": ("promotion.yaml",)}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("seconds", ["0", "-5", "nan", "inf", "soon"])
def test_it_is_refused_in_one_line_before_anything_is_read(
    command: str,
    seconds: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "sys.argv", [f"scripts/{command}", *COMMANDS[command], f"--timeout={seconds}"]
    )
    assert exit_code(main_of(command)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: argument --timeout: ") and seconds in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", COMMANDS)
def test_its_help_is_the_same(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [f"scripts/{command}", "--help"])
    monkeypatch.setenv("COLUMNS", "200")
    assert exit_code(main_of(command)) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--timeout S begin nothing that is not expected to end in this time" in text
