"""The capacity ladder: which number of sessions to try next, and when a rung has passed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NO_MISS, ONE_MISS = 45, 77  # replies that show p95 at 90 % confidence with no miss, with one


@dataclass(frozen=True, slots=True)
class Rung:
    """One number of sessions, and how it went.

    passed: None where the time ran out before either service was decided
    bound_by: which limit it broke first (`stt`, `llm`, `kv`, `generator`); None where it passed
    """

    sessions: int
    passed: bool | None
    replies_stt: int
    replies_llm: int
    bound_by: str | None = None
    turn_ttft_ms: float | None = None
    turn_ttft_p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Capacity:
    """The largest number of sessions shown to meet the SLO; None where no rung was decided."""

    sessions: int | None
    is_lower_bound: bool | None
    bound_by: str | None


def verdict(replies: int, misses: int) -> bool | None:
    """Whether p95 of one service meets the SLO: False at the second miss, None while undecided.

    >>> verdict(45, 0), verdict(45, 1), verdict(77, 1), verdict(3, 2)
    (True, None, True, False)
    """
    if misses >= 2:
        return False
    if replies >= (ONE_MISS if misses else NO_MISS):
        return True
    return None


def next_rung(tried: Mapping[int, bool], start: int, top: int) -> int | None:
    """Double or halve from `start`, then bisect; None when the answer is known.

    >>> next_rung({}, 8, 64), next_rung({8: True}, 8, 64), next_rung({8: True, 16: False}, 8, 64)
    (8, 16, 12)
    >>> next_rung({8: False}, 8, 64), next_rung({1: False, 2: False}, 8, 64), next_rung({64: True}, 8, 64)
    (4, None, None)
    """
    if not tried:
        return min(start, top)
    best = max((n for n, ok in tried.items() if ok), default=0)
    worst = min((n for n, ok in tried.items() if not ok), default=None)
    if worst is None:
        return min(best * 2, top) if best < top else None
    middle = worst // 2 if best == 0 else (best + worst) // 2
    return middle if best < middle < worst else None


def capacity(rungs: list[Rung], top: int) -> Capacity:
    """What a ladder shows, and what bound it: `time` where the clock ended it before the answer was known."""
    tried = {r.sessions: r.passed for r in rungs if r.passed is not None}
    best = max((n for n, ok in tried.items() if ok), default=0)
    failed = [r for r in rungs if r.passed is False]
    if not tried or (best == 0 and 1 not in tried):
        return Capacity(None, None, "time" if rungs else None)
    if not failed:
        return Capacity(best, True, "generator" if best >= top else "time")
    lowest = min(failed, key=lambda r: r.sessions)
    is_settled = next_rung(tried, best or 1, top) is None
    return Capacity(best, not is_settled, lowest.bound_by if is_settled else "time")
