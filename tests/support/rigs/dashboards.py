"""This module serves the real dashboard to a test, as the command does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from processes.forks import Forked, script

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/dashboard.py"


@contextmanager
def dashboard_of(path: Path, *, is_fork: bool = False) -> Iterator[str]:
    """Yield the address that the real command prints; it ends on Ctrl-C with exit 0.

    Args:
        path: What is looked at: a study's database, or the folder of a rotation.
        is_fork: Whether it is a fork of this process, and no interpreter.
    """
    start: Any = Forked if is_fork else subprocess.Popen
    words = (path, "--port", "0")
    real = [sys.executable, str(SCRIPT), *map(str, words)]
    with start(
        script("dashboard.py", *words) if is_fork else real,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        line = process.stdout.readline()
        try:
            assert line.startswith("http://127.0.0.1:"), process.stderr.read()
            yield line.split()[0].rstrip("/")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        assert (process.returncode, process.stderr.read()) == (0, "")
