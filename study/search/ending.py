"""An ending says why a run of a study ended, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class RunLimit(StrEnum):
    """A limit is what a run came to the end of."""

    TRIALS = "trials"
    TIME = "time"
    SPACE = "space"
    RECORDING = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An ending says why a run of a study ended.

    Args:
        limit: What it came to the end of.
        max_trials: The budget, over all runs.
        recorded_left: Launches of the recording that are not replayed; None where it follows none.
        needed_s: What the next trial takes, seconds.
        timeout_s: Of this run, seconds.
        size: Configurations in the space.
        settled: How many of them are measured; where fewer, failures rule out the others.
    """

    limit: RunLimit
    max_trials: int = 0
    recorded_left: int | None = None
    needed_s: float = 0.0
    timeout_s: float = 0.0
    size: int = 0
    settled: int = 0
