"""A window is cut into segments, so that one launch says how much its figures vary. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from objectives.traffic.workload import Workload

LEAST_S = 15.0
LEAST_REQUESTS = 5  # of each service: the p95 of fewer says nothing
MOST = 8


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment is a part of the window; equal ones of two launches have equal arrivals.

    Args:
        number: Its number, from 0.
        begin_s: Its begin, seconds from the window's start.
        end_s: Its end, the same.
    """

    number: int
    begin_s: float
    end_s: float

    def has(self, at_s: float) -> bool:
        """Return whether what is due at a time of the window belongs to it."""
        return self.begin_s <= at_s < self.end_s


def segments(workload: Workload) -> tuple[Segment, ...]:
    """Return the segments of the window, all of one length and with requests of every service.

    >>> [(s.number, s.begin_s, s.end_s) for s in segments(Workload(window_s=30))]
    [(0, 0.0, 15.0), (1, 15.0, 30.0)]
    >>> [len(segments(Workload(window_s=s))) for s in (10, 60, 120, 240)]
    [1, 4, 8, 8]
    >>> len(segments(Workload(window_s=240, turns_per_s=0.05)))  # 12 turns
    2
    """
    rates = [workload.turns_per_s + stream.per_s for stream in workload.of_turns]
    rates += [stream.per_s for stream in workload.beside]
    rarest = min((per_s * workload.window_s for per_s in rates if per_s), default=0.0)
    count = min(MOST, int(workload.window_s // LEAST_S), int(rarest // LEAST_REQUESTS))
    count = max(1, count)
    each_s = workload.window_s / count
    return tuple(Segment(n, n * each_s, (n + 1) * each_s) for n in range(count))
