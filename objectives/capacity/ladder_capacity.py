"""The capacity ladder's arithmetic chooses the next rung and decides when one has passed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NO_MISS, ONE_MISS = 45, 77  # replies that show p95 at 90 % confidence with no miss, with one


@dataclass(frozen=True, slots=True)
class Rung:
    """A rung is one number of sessions that was held, and how it went.

    Args:
        sessions: The number of sessions.
        passed: Whether both services met the SLO; None where the time ran out before that.
        replies: The number of answers by service.
        bound_by: The service whose limit broke first, or `kv`; None where none did.
        turn_ttft_ms: The median time from a clip to the LLM's first content, ms.
        turn_ttft_p95_ms: The 95th percentile of it, ms.
    """

    sessions: int
    passed: bool | None
    replies: Mapping[str, int]
    bound_by: str | None = None
    turn_ttft_ms: float | None = None
    turn_ttft_p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The capacity is the largest number of sessions shown to meet the SLO.

    Args:
        sessions: That number; None where no rung was decided.
        is_lower_bound: Whether more might have passed; None where no rung was decided.
        bound_by: The limit that broke above it (`stt`, `llm`, `kv`), `generator` at the top of
            the ladder, or `time` where the clock ended it.
    """

    sessions: int | None
    is_lower_bound: bool | None
    bound_by: str | None


def verdict(replies: int, misses: int) -> bool | None:
    """Return whether p95 of a service meets the SLO; False at the second miss, None until decided.

    >>> verdict(45, 0), verdict(45, 1), verdict(77, 1), verdict(3, 2)
    (True, None, True, False)
    """
    if misses >= 2:
        return False
    if replies >= (ONE_MISS if misses else NO_MISS):
        return True
    return None


def next_rung(results: Mapping[int, bool], start: int, top: int) -> int | None:
    """Return the next number of sessions: double or halve from `start`, then bisect.

    Args:
        results: Whether each number of sessions so far has passed.
        start: The first number.
        top: The highest number.

    Returns:
        The number; None once the answer is known.

    >>> next_rung({}, 8, 64), next_rung({8: True}, 8, 64), next_rung({8: True, 16: False}, 8, 64)
    (8, 16, 12)
    >>> next_rung({8: False}, 8, 64), next_rung({1: False, 2: False}, 8, 64)
    (4, None)
    >>> next_rung({64: True}, 8, 64) is None
    True
    """
    if not results:
        return min(start, top)
    best = max((n for n, ok in results.items() if ok), default=0)
    worst = min((n for n, ok in results.items() if not ok), default=None)
    if worst is None:
        return min(best * 2, top) if best < top else None
    middle = worst // 2 if best == 0 else (best + worst) // 2
    return middle if best < middle < worst else None


def capacity(rungs: list[Rung], top: int) -> Capacity:
    """Return the capacity that a ladder of at most `top` sessions has shown."""
    results = {r.sessions: r.passed for r in rungs if r.passed is not None}
    best = max((n for n, ok in results.items() if ok), default=0)
    failed = [r for r in rungs if r.passed is False]
    if not results or (best == 0 and 1 not in results):
        return Capacity(None, None, "time" if rungs else None)
    if not failed:
        return Capacity(best, True, "generator" if best >= top else "time")
    lowest = min(failed, key=lambda r: r.sessions)
    is_settled = next_rung(results, best or 1, top) is None
    return Capacity(best, not is_settled, lowest.bound_by if is_settled else "time")
