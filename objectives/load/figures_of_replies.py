"""The replies of a window become its figures here: quantiles, lateness and interference. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from objectives.capacity.lateness import Z_95
from objectives.capacity.limits import own_ms
from objectives.figures import flat_name
from objectives.load.replies import Reply
from objectives.measurement import INFINITE

LEAST_SHIFT = 0.01  # of a figure: launches of one allocation differ by more


def nearest_rank(values: Iterable[float], q: float) -> float | None:
    """Return the nearest-rank quantile; None of nothing.

    It is over everything offered: a failed request is infinite and stays in.

    >>> nearest_rank([1.0, 2.0, 3.0, float("inf")], 0.5), nearest_rank([1.0, float("inf")], 0.95)
    (2.0, inf)
    >>> nearest_rank([], 0.5) is None
    True
    """
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def services_in(replies: Sequence[Reply]) -> list[str]:
    """Return the names of the services that were asked."""
    return sorted({r.service for r in replies})


def summarise(replies: Sequence[Reply]) -> dict[str, Any]:
    """Return the figures that follow from the replies of one window alone, by flat name.

    A service that is sent audio has a real-time factor; one that streams tokens has their times.
    """
    by_service = {s: [r for r in replies if r.service == s] for s in services_in(replies)}
    figures = {
        flat_name(service, name): value
        for service, own in by_service.items()
        for name, value in _figures(own).items()
    }
    failed = sum(r.error is not None for r in replies)
    waits_ms = turn_waits_ms(replies)
    return figures | {
        "turn_ttft_ms": nearest_rank(waits_ms, 0.5),
        "turn_ttft_p95_ms": nearest_rank(waits_ms, 0.95),
        "failure_rate": failed / len(replies) if replies else None,
        "generator_lag_p99_ms": nearest_rank(_lags_ms(replies), 0.99),
        "lag_exceeded": any(_is_late(own) for own in by_service.values()),
    }


def turn_waits_ms(replies: Iterable[Reply]) -> list[float]:
    """Return how long each turn waited for the first content of its last service, ms.

    A turn of which a request failed waits for ever; a request outside turns is none.
    """
    turns: dict[int, list[Reply]] = defaultdict(list)
    for reply in replies:
        if reply.turn is not None:
            turns[reply.turn].append(reply)
    waits_ms = []
    for turn in turns.values():
        firsts_s = [r.first_s for r in turn if r.error is None and r.first_s is not None]
        is_whole = len(firsts_s) == len(turn)
        wait_s = max(firsts_s) - min(r.scheduled_s for r in turn) if is_whole else INFINITE
        waits_ms.append(wait_s * 1000.0)
    return waits_ms


def _figures(replies: Sequence[Reply]) -> dict[str, Any]:
    """Return the figures of one service."""
    figures: dict[str, Any] = {
        "latency_ms": nearest_rank([r.latency_ms for r in replies], 0.5),
        "latency_p95_ms": nearest_rank([r.latency_ms for r in replies], 0.95),
        "offered": len(replies),
    }
    if any(r.audio_s for r in replies):
        return figures | {"rtfx": _rtfx(replies)}
    answered = [r for r in replies if r.error is None]
    if answered and all(r.tokens is None and r.first_s == r.end_s for r in answered):
        return figures  # its answers come in one piece
    tpot_ms = [
        (r.end_s - r.first_s) * 1000.0 / (r.tokens - 1)
        for r in replies
        if r.error is None
        and r.end_s is not None
        and r.first_s is not None
        and r.tokens
        and r.tokens > 1
    ]
    return figures | {
        "ttft_ms": nearest_rank([r.ttft_ms for r in replies], 0.5),
        "ttft_p95_ms": nearest_rank([r.ttft_ms for r in replies], 0.95),
        "tpot_ms": float(np.median(tpot_ms)) if tpot_ms else None,
        # as a limit bounds it: a request that failed has none within any time
        "tpot_p95_ms": nearest_rank([own_ms(r, "tpot") for r in replies], 0.95)
        if tpot_ms
        else None,
    }


def _rtfx(replies: Sequence[Reply]) -> float | None:
    """Return the seconds of audio that were transcribed in each second of service."""
    times = [
        (r.audio_s, r.end_s - r.sent_s)
        for r in replies
        if r.error is None and r.end_s and r.audio_s
    ]
    return sum(a for a, _ in times) / sum(s for _, s in times) if times else None


def _lags_ms(replies: Sequence[Reply]) -> list[float]:
    return [(r.sent_s - r.scheduled_s) * 1000.0 for r in replies]


def _is_late(replies: Sequence[Reply]) -> bool:
    """Return whether the lateness of our own requests moved a figure beyond its own interval.

    Each figure counts from when requests were due. It is held against the same one counted from
    when they left: beyond the 95 % interval of that, and by more than these replies could tell, it
    is the generator's doing. What failed is in neither.
    """
    answered = [r for r in replies if r.error is None]
    to_end = [(r.end_s, r) for r in answered if r.end_s is not None]
    to_first = [(r.first_s, r) for r in answered if r.first_s is not None]
    for times in (to_end, to_first):
        due_ms = [(at_s - r.scheduled_s) * 1000.0 for at_s, r in times]
        left_ms = [(at_s - r.sent_s) * 1000.0 for at_s, r in times]
        if times and any(_is_moved(due_ms, left_ms, q) for q in (0.5, 0.95)):
            return True
    return False


def _is_moved(values: Sequence[float], own: Sequence[float], q: float) -> bool:
    """Return whether a quantile lies above the interval that the same one has of other values.

    >>> _is_moved([5.0, 6.0, 9.0], [1.0, 2.0, 3.0], 0.5)
    True
    """
    value, likely = nearest_rank(values, q), nearest_rank(own, q)
    assert value is not None and likely is not None  # noqa: S101  there are values
    return value > max(_highest(own, q), (1 + LEAST_SHIFT) * likely)


def _highest(values: Sequence[float], q: float) -> float:
    """Return the upper end of the 95 % interval of a quantile, by the rank that it may have.

    Of few values the interval ends where they do, which makes it too narrow rather than too wide.

    >>> _highest([float(n) for n in range(400)], 0.95)  # the 389th of them
    388.0
    """
    count = len(values)
    rank = math.ceil(count * q + Z_95 * math.sqrt(count * q * (1 - q)))
    return sorted(values)[min(rank, count) - 1]


def interference(together: Sequence[Reply], alone: Sequence[Reply], service: str) -> float | None:
    """Return the median latency under joint load / the median alone, of the same launch.

    It is None where either median is missing or infinite.
    """
    joint = nearest_rank([r.latency_ms for r in together if r.service == service], 0.5)
    single = nearest_rank([r.latency_ms for r in alone if r.service == service], 0.5)
    if joint is None or single is None or INFINITE in (joint, single) or single <= 0:
        return None
    return joint / single
