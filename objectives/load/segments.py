"""The segments of a window: the same for every launch of a study, each with figures of its own."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from objectives.figures import flat_name
from objectives.load.figures_of_replies import nearest_rank, services_in
from objectives.load.replies import Reply
from objectives.traffic.workload import Request

SEGMENT_S = 20.0
LEAST_REQUESTS = 5  # of each service: the p95 of fewer says nothing


def segment_ends(requests: Sequence[Request], window_s: float) -> tuple[float, ...]:
    """Return when each segment of a window ends, seconds from its start; the last ends with it.

    Segments last about 20 s, longer where a service would get fewer than five requests in one.

    Args:
        requests: What the window sends.
        window_s: The length of its arrivals, seconds.

    >>> even = [Request("stt", float(second)) for second in range(60)]
    >>> segment_ends(even, 60.0), segment_ends(even[::10], 60.0)
    ((20.0, 40.0, 60.0), (60.0,))
    """
    count = max(1, round(window_s / SEGMENT_S))
    services = {r.service for r in requests}
    ends: list[float] = []
    begin_s = 0.0
    for n in range(1, count + 1):
        end_s = window_s * n / count
        own = Counter(r.service for r in requests if begin_s <= r.at_s < end_s)
        if all(own[service] >= LEAST_REQUESTS for service in services):
            ends.append(end_s)
            begin_s = end_s
    return (*ends[:-1], window_s)


def segment_figures(
    replies: Sequence[Reply], start_s: float, ends_s: Sequence[float]
) -> tuple[Mapping[str, float], ...]:
    """Return the latencies of each segment, by flat name; a request is in the one it is due in.

    Args:
        replies: What became of the requests of these segments.
        start_s: The start of the window on the clock of the replies, seconds.
        ends_s: When each of the segments ends, seconds from there.
    """
    begins_s = (-math.inf, *ends_s[:-1])
    return tuple(
        _figures([r for r in replies if begin_s <= r.scheduled_s - start_s < end_s])
        for begin_s, end_s in zip(begins_s, ends_s, strict=True)
    )


def _figures(replies: Sequence[Reply]) -> dict[str, float]:
    figures: dict[str, Any] = {}
    for service in services_in(replies):
        latencies_ms = [r.latency_ms for r in replies if r.service == service]
        figures[flat_name(service, "latency_ms")] = nearest_rank(latencies_ms, 0.5)
        figures[flat_name(service, "latency_p95_ms")] = nearest_rank(latencies_ms, 0.95)
    return figures


def at_once(request: Request, start_s: float, now_s: float, audio_s: float | None) -> Reply:
    """Return the best that can become of a request without an answer: it comes now, or at once.

    Args:
        request: The request.
        start_s: The start of the window on the monotonic clock, seconds.
        now_s: The time there now, seconds.
        audio_s: The length of its clip, seconds; None for a prompt.
    """
    due_s = start_s + request.at_s
    end_s = max(due_s, now_s)
    return Reply(
        service=request.service,
        scheduled_s=due_s,
        sent_s=due_s,
        first_s=due_s,
        end_s=end_s,
        audio_s=audio_s,
    )
