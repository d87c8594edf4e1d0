"""This module asks docker, podman or another engine of containers what it knows."""

from __future__ import annotations

import json
import subprocess
from typing import Any


def answered(
    program: str,
    *words: str,
    within_s: float,
    check: bool = True,
    stderr: int = subprocess.PIPE,
) -> subprocess.CompletedProcess[str]:
    """Return what an engine answers, as text.

    Args:
        program: The command of the engine.
        words: What it is asked.
        within_s: The longest that it may take, seconds.
        check: Whether a refusal is raised.
        stderr: Where its other output goes, as `subprocess` names it.

    Raises:
        OSError or subprocess.TimeoutExpired: It is not here, or does not answer.
        subprocess.CalledProcessError: It refuses; `stderr` has its words.
    """
    return subprocess.run(
        (program, *words),
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=within_s,
        check=check,
        errors="replace",
    )


def inspected(program: str, *words: str, within_s: float) -> Any:
    """Return what an engine says of one thing, as its JSON has it.

    Args:
        program: The command of the engine.
        words: What it is asked, behind which it prints a list of one.
        within_s: The longest that it may take, seconds.

    Raises:
        OSError or subprocess.TimeoutExpired: It is not here, or does not answer.
        subprocess.CalledProcessError: It refuses; `stderr` has its words.
        ValueError, LookupError or TypeError: It answers with something else.
    """
    return json.loads(answered(program, *words, within_s=within_s).stdout)[0]


def last_line(error: subprocess.CalledProcessError, otherwise: str) -> str:
    """Return the last line of what an engine said as it refused, else other words."""
    return str(error.stderr.strip() or otherwise).splitlines()[-1][:200]
