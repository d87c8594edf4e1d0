"""This module plans the launches of a recording: which, in which order, how long each may take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from objectives.allocation import Allocation
from objectives.recording import RecordedLaunch
from objectives.search_space.space import Space
from objectives.services import Services
from objectives.traffic.workload import Workload
from study.bench.launch_order import launch_key, order_by_restarts
from study.recording.sobol import spread
from study.search.expected_time import guess_s


def rounds(
    space: Space,
    baseline: Allocation,
    services: Services,
    repeats: int,
    points: int | None = None,
    part: tuple[int, int] = (1, 1),
) -> Iterator[tuple[Allocation, int]]:
    """Yield what is measured, in order.

    Each round begins and ends with the baseline, whose repeats are 1, 2; 3, 4; ...
    """
    chosen = list(space.grid()) if points is None else spread(space, points)
    rest = [a for a in chosen if str(a) != str(baseline)]
    for repeat in range(1, repeats + 1):
        again = rest if points is None or repeat == 1 else rest[: points // 4]
        yield baseline, 2 * repeat - 1
        for allocation in order_by_restarts(services, _part(services, again, *part), baseline):
            yield allocation, repeat
        yield baseline, 2 * repeat


def remaining(
    planned: Sequence[tuple[Allocation, int]],
    entries: Sequence[RecordedLaunch],
    baseline: Allocation,
    card: str,
) -> list[tuple[Allocation, int]]:
    """Return what is not measured yet.

    The baseline comes first, once more, where this card has not measured it.
    """
    held = {(e.key, e.repeat) for e in entries}
    todo = [(a, repeat) for a, repeat in planned if (str(a), repeat) not in held]
    has_it = any(e.key == str(baseline) and e.card == card for e in entries)
    if todo and str(todo[0][0]) != str(baseline) and not has_it:
        taken = [
            r for key, r in {*held, *((str(a), r) for a, r in planned)} if key == str(baseline)
        ]
        todo.insert(0, (baseline, 1 + max(taken, default=0)))
    return todo


def _part(
    services: Services, of: Sequence[Allocation], number: int, parts: int
) -> list[Allocation]:
    """Return every so manieth launch key with all that is measured under it."""
    keys = [launch_key(services, a) for a in of]
    mine = list(dict.fromkeys(keys))[number - 1 :: parts]
    return [a for a, key in zip(of, keys, strict=True) if key in mine]


def longest_s(
    workload: Workload, entries: Sequence[RecordedLaunch], allocation: Allocation
) -> float:
    """Return how long an evaluation may take, in seconds.

    It is as long as this one took at most, or the median of the others and some.
    """
    own = [e.wall_s for e in entries if e.key == str(allocation)]
    walls = [e.wall_s for e in entries if e.measurement is not None]
    return max(own) if own else 1.4 * median(walls) if walls else guess_s(workload, is_first=True)
