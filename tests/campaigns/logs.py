"""Logs of servers are mutated; each is named or not, in words that every file takes."""

from __future__ import annotations

import math
import random
from functools import cache
from pathlib import Path

from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.log import FailurePhase, shortened

from .campaign import mutated

LOGS = Path(__file__).parents[1] / "logs"


@cache
def logs() -> tuple[bytes, ...]:
    """Return the real logs that the tests read."""
    return tuple(file.read_bytes() for file in sorted(LOGS.glob("*.log")))


def attack(rng: random.Random) -> None:
    """Diagnose one mutated log.

    Raises:
        AssertionError: Its evidence or deficit is what no file can hold.
    """
    log = shortened(mutated(rng.choice(logs()), rng).decode(errors="replace"))
    exit_code = rng.choice((None, 0, 1, -9, 137))
    diagnosis = diagnose(log, exit_code=exit_code, phase=rng.choice((None, *FailurePhase)))
    if diagnosis is not None:
        diagnosis.evidence.encode()
        assert diagnosis.deficit_mib is None or math.isfinite(diagnosis.deficit_mib), diagnosis
