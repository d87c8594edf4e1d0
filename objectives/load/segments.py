"""Each segment of a window has figures of its own, which say how much those of the window vary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from objectives.load.figures_of_replies import summarise
from objectives.load.replies import Reply

NOT_OF_SERVERS = ("generator_lag_p99_ms", "failure_rate")


def segment_figures(
    replies: Sequence[Reply], start_s: float, ends_s: Sequence[float]
) -> tuple[Mapping[str, float], ...]:
    """Return the figures of each segment by flat name, without those that it does not have.

    A request belongs to the segment in which it is due, and all of a turn to that of its first.

    Args:
        replies: What became of the requests of these segments.
        start_s: The start of the window on the clock of the replies, seconds.
        ends_s: When each of the segments ends, seconds from there.
    """
    begins: dict[int, float] = {}
    for r in replies:
        if r.turn is not None:
            begins[r.turn] = min(r.scheduled_s, begins.get(r.turn, math.inf))
    due = [(r.scheduled_s if r.turn is None else begins[r.turn]) - start_s for r in replies]
    begins_s, ends_s = (-math.inf, *ends_s[:-1]), (*ends_s[:-1], math.inf)
    return tuple(
        _figures([r for r, at_s in zip(replies, due, strict=True) if begin_s <= at_s < end_s])
        for begin_s, end_s in zip(begins_s, ends_s, strict=True)
    )


def _figures(replies: Sequence[Reply]) -> dict[str, float]:
    return {
        name: value
        for name, value in summarise(replies).items()
        if isinstance(value, float) and name not in NOT_OF_SERVERS
    }
