"""This module spreads configurations evenly over a space too large to measure whole.

They follow a scrambled Sobol sequence.
"""

from __future__ import annotations

from objectives.allocation import Allocation
from objectives.search_space.space import Space

SEED = 0


def spread(space: Space, count: int) -> list[Allocation]:
    """Return `count` different configurations of a countable space, the same every time.

    They are all of it where it has fewer. Every beginning of the list is spread over the space too
    (Sobol 1967; scrambled as Owen 1998), so that a part of it can be measured first, or again.
    """
    from scipy.stats import qmc  # noqa: PLC0415  a second that who spreads nothing need not wait for

    values = [list(p.values()) for p in space.parameters]
    count = min(count, space.size or count)
    points = qmc.Sobol(len(values), rng=SEED)
    configurations: dict[str, Allocation] = {}
    while len(configurations) < count:
        for point in points.random(64):
            chosen = {
                p.name: of[int(x * len(of))]
                for p, of, x in zip(space.parameters, values, point, strict=True)
            }
            allocation = space.allocation(chosen)
            if len(configurations) < count:
                configurations.setdefault(str(allocation), allocation)
    return list(configurations.values())
