"""Cores are shared out among lanes: the load of one must not slow the servers of another."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise

from objectives.devices.cores import LEAST
from objectives.errors import SetupError

Split = tuple[frozenset[int], tuple[tuple[int, ...], ...]]


def split(
    allowed: Collection[int], nodes: Sequence[Collection[int]], near: Sequence[int | None]
) -> Split:
    """Return the driver's cores, and those of each lane. Pure.

    A lane has cores of the NUMA node of its cards where all lanes tell theirs and each node has one
    for each of its lanes; else all are shared out in the order of their numbers. The driver has one
    of its own where the lanes can spare it: its writing would make a load generator late.

    Args:
        allowed: The cores that this process may use.
        nodes: The cores of each NUMA node; none where that is unknown.
        near: The NUMA node of each lane's cards; None where it is unknown, or they have several.

    Raises:
        SetupError: There are fewer cores than lanes.

    >>> split(range(9), [range(9)], [0, 0])
    (frozenset({0}), ((1, 2, 3, 4), (5, 6, 7, 8)))
    >>> split([0, 1], [], [None, None])
    (frozenset({0, 1}), ((0,), (1,)))
    """
    cores, lanes = sorted(allowed), len(near)
    if len(cores) < lanes:
        raise SetupError(
            f"{lanes} lanes need a core each, and {len(cores)} may be used here; "
            "name fewer cards with --devices"
        )
    driver = frozenset(cores)
    if len(cores) > LEAST * lanes:
        driver, cores = frozenset(cores[:1]), cores[1:]
    by_node = [[core for core in cores if core in set(node)] for node in nodes]
    counts = [near.count(number) for number in range(len(nodes))]
    if sum(counts) == lanes and all(
        len(of) >= count for of, count in zip(by_node, counts, strict=True)
    ):
        parts = [iter(_parts(of, n)) for of, n in zip(by_node, counts, strict=True)]
        return driver, tuple(next(parts[number]) for number in near if number is not None)
    return driver, tuple(_parts(cores, lanes))


def near_of(nodes: Iterable[int | None]) -> int | None:
    """Return the NUMA node of a lane's cards; None where they have several, or it is unknown.

    >>> near_of([1, 1]), near_of([0, 1])
    (1, None)
    """
    only, *others = {*nodes}
    return None if others else only


def in_words(cores: Collection[int]) -> str:
    """Return the numbers of cores as the kernel writes them.

    >>> in_words((1, 2, 3, 7)), in_words((4,))
    ('cores 1-3,7', 'core 4')
    """
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and runs[-1][-1] == core - 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    texts = [f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return f"core{'s' * (len(cores) != 1)} {','.join(texts)}"


def _parts(cores: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Return as many equal runs of cores; the first have the cores that are over."""
    each, over = divmod(len(cores), count) if count else (0, 0)
    ends = [n * each + min(n, over) for n in range(count + 1)]
    return [tuple(cores[a:b]) for a, b in pairwise(ends)]
