"""A signal that comes when all is done, or a stream that was closed, changes no exit code."""

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


CLOSED = """
import study.cli.startup
from study.cli.exit_codes import exiting
from objectives.errors import BadInput
with exiting():
    with open("/dev/zero") as file:
        numbers_are_free = file.fileno() > 2
    print("heard by nobody")
    raise BadInput("bad") if numbers_are_free else SystemExit(9)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_after_the_end_is_not_heard(name: str) -> None:
    line = [sys.executable, "-c", LATE.format(name=name)]
    ended = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_closed_from_the_start_changes_no_exit_code(closed: str) -> None:
    line = ["sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, CLOSED]
    assert subprocess.run(line, cwd=ROOT, capture_output=True, check=False).returncode == 2
