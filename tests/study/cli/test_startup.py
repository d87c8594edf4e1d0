"""A signal that comes when all is done changes nothing of how a command ended."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LATE = """
import os, signal, study.cli.startup
class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.{name}):
        kill(pid, number)  # Python has taken its handlers away by now
late = Late()
print("done")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_after_the_end_is_not_heard(name: str) -> None:
    line = [sys.executable, "-c", LATE.format(name=name)]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
