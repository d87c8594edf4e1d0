"""Says why a run of a study ended, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Limit(StrEnum):
    """Names what a run came to the end of."""

    TRIALS = "trials"
    TIME = "time"
    SPACE = "space"
    RECORDING = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Says why a run of a study ended.

    Args:
        limit: what it came to the end of
        max_trials: the budget, over all runs
        recorded_left: launches of the recording that are not replayed; None where it follows none
        needed_s: what the next trial takes, seconds
        timeout_s: of this run, seconds
        size: configurations in the space
        settled: how many of them are measured; where fewer, failures rule out the others
    """

    limit: Limit
    max_trials: int = 0
    recorded_left: int | None = None
    needed_s: float = 0.0
    timeout_s: float = 0.0
    size: int = 0
    settled: int = 0
