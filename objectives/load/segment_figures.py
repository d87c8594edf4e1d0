"""Each segment of a window has latencies of its own. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from objectives.figures import flat_name
from objectives.load.figures_of_replies import nearest_rank, services_in
from objectives.load.replies import Reply


def segment_figures(
    replies: Sequence[Reply], start_s: float, ends_s: Sequence[float]
) -> tuple[Mapping[str, float], ...]:
    """Return the latencies of each segment, by flat name.

    A turn is in the segment in which it arrives, with all its requests.

    Args:
        replies: What became of the requests of these segments.
        start_s: The start of the window on the clock of the replies, seconds.
        ends_s: When each of the segments ends, seconds from there.
    """
    turns: dict[object, list[Reply]] = defaultdict(list)
    for n, reply in enumerate(replies):
        turns[("alone", n) if reply.turn is None else reply.turn].append(reply)
    arrivals = [(min(r.scheduled_s for r in turn) - start_s, turn) for turn in turns.values()]
    begins_s = (-math.inf, *ends_s[:-1])
    return tuple(
        _figures([r for at_s, turn in arrivals if begin_s <= at_s < end_s for r in turn])
        for begin_s, end_s in zip(begins_s, ends_s, strict=True)
    )


def _figures(replies: Sequence[Reply]) -> dict[str, float]:
    figures: dict[str, Any] = {}
    for service in services_in(replies):
        latencies_ms = [r.latency_ms for r in replies if r.service == service]
        figures[flat_name(service, "latency_ms")] = nearest_rank(latencies_ms, 0.5)
        figures[flat_name(service, "latency_p95_ms")] = nearest_rank(latencies_ms, 0.95)
    return figures
