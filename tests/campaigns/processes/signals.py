"""A replay that is signalled at a random moment ends with 130, or was over, without a traceback."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
LONGEST_S = 8.0  # from where signals are caught until the signal: a replay takes about as long
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def attack(rng: random.Random) -> None:
    """Run the study that ships, signal it, and run it again to its end.

    Raises:
        AssertionError: It did not end as it promises, or cannot go on.
    """
    with tempfile.TemporaryDirectory() as folder:
        line = [sys.executable, "scripts/run_study.py", "--out", folder, "--quiet"]
        with subprocess.Popen(
            line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            while process.poll() is None and not _catches(process.pid):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, LONGEST_S))
            for _ in range(rng.choice((1, 1, 2, 10))):
                process.send_signal(rng.choice(SIGNALS))
            output, _ = process.communicate(timeout=300)
        assert process.returncode in (0, 130), (process.returncode, output)
        assert "Traceback" not in output and "never retrieved" not in output, output
        assert "Exception ignored" not in output, output
        if process.returncode:
            again = subprocess.run(
                line, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
            )
            assert again.returncode == 0, (again.returncode, again.stdout, again.stderr)


def _catches(pid: int) -> bool:
    """Return whether a process has a handler of SIGTERM: until then the kernel ends it."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
