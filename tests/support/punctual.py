"""A window of a test is late only where a request left a second late: then it is replayed.

A fake answers in a millisecond, of which 0.3 ms would be too late, and other tests keep the cores
busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from objectives.exercise import exercise
from objectives.load import segments
from objectives.load.figures_of_replies import summarise
from objectives.load.replies import Reply

LATE_MS = 1000.0


def be_punctual(patch: pytest.MonkeyPatch) -> None:
    """Let the windows that this process and its forks measure be punctual."""
    for module in (exercise, segments):
        patch.setattr(module, "summarise", _summarised)


def _summarised(replies: Sequence[Reply]) -> dict[str, Any]:
    figures = summarise(replies)
    lag_ms = figures["generator_lag_p99_ms"] or 0.0
    return figures | {"lag_exceeded": figures["lag_exceeded"] and lag_ms > LATE_MS}
