"""This module decides which cores the load generator gets, and which the servers."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from objectives.devices.machine_lock import is_locked_now, lock_file, opened

LEAST = 4  # of fewer cores the servers can spare none
NODES = Path("/sys/devices/system/node")
THREADS = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores are shared out between servers and the load generator, by their numbers.

    Args:
        servers: Where servers run, and this process beside them.
        generator: Where the generator runs alone; empty where it shares those of the servers.
    """

    servers: frozenset[int]
    generator: frozenset[int] = frozenset()

    def __str__(self) -> str:
        count = len(self.servers)
        if self.generator:
            alone = ", ".join(map(str, sorted(self.generator)))
            return f"the load generator has core {alone} to itself, the servers the other {count}"
        cores = "core" if count == 1 else f"{count} cores"
        return (
            f"the load generator shares the {cores} with the servers (from {LEAST} on it has one)"
        )


def shared_out(allowed: Collection[int], nodes: Sequence[Collection[int]] = ()) -> Cores:
    """Return which of the cores that a process may use are whose. Pure.

    The generator's is the last of the NUMA node that has the most of them, so that a small node
    stays whole; the first of a machine serves most interrupts.

    Args:
        allowed: The cores that the process may use.
        nodes: The cores of each NUMA node; none where that is unknown.

    >>> shared_out(range(6))
    Cores(servers=frozenset({0, 1, 2, 3, 4}), generator=frozenset({5}))
    >>> shared_out([0, 1]).generator
    frozenset()
    """
    cores = frozenset(allowed)
    if len(cores) < LEAST:
        return Cores(cores)
    parts = [part for node in nodes if (part := cores.intersection(node))] or [cores]
    largest = max(parts, key=lambda part: len(part))  # noqa: PLW0108  mypy asks for it
    own = frozenset({max(largest)})
    return Cores(cores - own, own)


def numbers(text: str) -> frozenset[int]:
    """Return the numbers of a list as the kernel writes it.

    >>> sorted(numbers("0-2,8"))
    [0, 1, 2, 8]
    """
    ranges = re.findall(r"(\d+)(?:-(\d+))?", text)
    return frozenset(n for low, high in ranges for n in range(int(low), int(high or low) + 1))


def cores_here() -> Cores:
    """Return which of the cores that this process may use are whose, as others hold them now."""
    with _claimed() as cores:
        return cores


@contextmanager
def apart() -> Iterator[Cores]:
    """Keep this process, and what it starts, off the generator's core while the block lasts.

    Of the processes that measure on this machine each takes a core of its own, and keeps its
    servers off those that were taken before.
    """
    before = os.sched_getaffinity(0)
    with _claimed() as cores:
        if cores.servers != before:
            _move(cores.servers)
        try:
            yield cores
        finally:
            if cores.servers != before:
                _move(before)


@contextmanager
def _claimed() -> Iterator[Cores]:
    """Lock a core for the generator while the block lasts; the kernel frees it in any case."""
    allowed, taken = os.sched_getaffinity(0), set[int]()
    with ExitStack() as stack:
        while True:
            cores = shared_out(allowed - taken, numa_nodes())
            if not cores.generator or _is_ours(stack, *cores.generator):
                yield cores
                return
            taken |= cores.generator


def _is_ours(stack: ExitStack, core: int) -> bool:
    """Return whether the lock of a core could be had, or there are no locks here at all."""
    try:
        descriptor = opened(lock_file(f"core-{core}"))
        stack.callback(os.close, descriptor)
        return is_locked_now(descriptor)
    except OSError:
        return True


def numa_nodes() -> list[frozenset[int]]:
    """Return the cores of each NUMA node; none where that is unknown."""
    nodes = []
    for file in sorted(NODES.glob("node[0-9]*/cpulist")):
        with suppress(OSError):  # a node that has just been taken away
            nodes.append(numbers(file.read_text()))
    return nodes


def _move(cores: Collection[int]) -> None:
    """Let every thread of this process run on these cores alone."""
    for thread in THREADS.iterdir():
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread.name), cores)
