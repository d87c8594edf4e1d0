"""What is said is wrapped between its words on a terminal of 80 columns, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
from made.factories import make
from processes.commands import ROOT
from processes.forks import Forked, script

from study.text import wrapped_at

LONG = "one two three " * 20


def on_a_terminal(*words: object, is_fork: bool = True) -> tuple[int, list[str]]:
    """Run a study on a terminal of its own; return its exit code and its lines.

    Args:
        is_fork: It is a fork of this process, and no interpreter.
    """
    real = [sys.executable, str(ROOT / "scripts/run_study.py"), *map(str, words)]
    line = script("run_study.py", *words) if is_fork else real
    start: Any = Forked if is_fork else subprocess.Popen
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    env = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    ran = start(line, stdin=theirs, stdout=theirs, stderr=theirs, env=env)
    os.close(theirs)
    output = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        output += part
    os.close(ours)
    return ran.wait(120), output.decode().replace("\r", "").splitlines()


@pytest.mark.parametrize("width", [20, 80])
def test_a_text_is_wrapped_between_words(width: int) -> None:
    lines = wrapped_at(f"  {LONG}\nshort", width).splitlines()
    assert max(map(len, lines)) <= width and lines[-1] == "short"
    assert " ".join(lines[:-1]).split() == LONG.split()
    assert lines[0].startswith("  one") and lines[1].startswith("    ")
    assert wrapped_at("a" * 100, width) == "a" * 100


def test_a_dry_run_an_end_and_an_error_fit_80_columns(tmp_path: Path) -> None:
    spec = make(tmp_path)
    for arguments in (("--dry-run",), ("--n-trials", 3)):
        words = (spec, "--out", tmp_path / "out", *arguments)
        code, lines = on_a_terminal(*words, is_fork="--dry-run" in arguments)
        assert code == 0
        # what is to be pasted stays whole, and a path is one word
        prose = [x for x in lines if not x.startswith("  ") and str(tmp_path) not in x]
        assert len(prose) > 5 and max(map(len, prose)) <= 80
    code, lines = on_a_terminal(spec, "--sampler", "tpee " * 30)
    assert code == 2 and len(lines) > 2 and max(map(len, lines)) <= 80
