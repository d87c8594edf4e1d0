"""What is said is wrapped between its words on a terminal of 80 columns, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from commands import ROOT
from factories import make

from study.text import wrapped_at

LONG = "one two three " * 20


def on_a_terminal(*line: object, columns: int = 80) -> tuple[int, list[str]]:
    """Run a command on a terminal of its own; return its exit code and its lines."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    env = {**os.environ, "TERM": "dumb", "COLUMNS": str(columns)}
    ran = subprocess.Popen(
        [sys.executable, *map(str, line)], stdin=theirs, stdout=theirs, stderr=theirs, env=env
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        said += part
    os.close(ours)
    return ran.wait(120), said.decode().replace("\r", "").splitlines()


@pytest.mark.parametrize("width", [20, 80])
def test_a_text_is_wrapped_between_words(width: int) -> None:
    lines = wrapped_at(f"  {LONG}\nshort", width).splitlines()
    assert max(map(len, lines)) <= width and lines[-1] == "short"
    assert " ".join(lines[:-1]).split() == LONG.split()
    assert lines[0].startswith("  one") and lines[1].startswith("    ")
    assert wrapped_at("a" * 100, width) == "a" * 100


def test_a_dry_run_an_end_and_an_error_fit_80_columns(tmp_path: Path) -> None:
    spec, script = make(tmp_path), ROOT / "scripts/run_study.py"
    for arguments in (("--dry-run",), ("--n-trials", 3)):
        code, lines = on_a_terminal(script, spec, "--out", tmp_path / "out", *arguments)
        assert code == 0
        # what is to be pasted stays whole, and a path is one word
        prose = [x for x in lines if not x.startswith("  ") and str(tmp_path) not in x]
        assert len(prose) > 5 and max(map(len, prose)) <= 80
    code, lines = on_a_terminal(script, spec, "--sampler", "tpee " * 30)
    assert code == 2 and len(lines) > 2 and max(map(len, lines)) <= 80
