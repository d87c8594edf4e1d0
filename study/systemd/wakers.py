"""A unit that sleeps is started by a socket or the like, itself or by way of what requires it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from study.systemd.manager import Manager, UnitState, state


@dataclass(frozen=True, slots=True)
class WakingUnit:
    """A waker is a unit that runs and starts another when it is asked.

    Args:
        unit: The waker, such as a socket.
        starts: What it starts: the unit itself, or what requires it, such as a proxy before it.
    """

    unit: UnitState
    starts: str


def wakers_of(unit: UnitState) -> Iterator[WakingUnit]:
    """Yield what would start a unit now: a socket, timer or path that runs."""
    waiting, seen = [unit], set[str]()
    while waiting:
        s = waiting.pop()
        if s.unit in seen:
            continue
        seen.add(s.unit)
        for name in s.triggers:
            if (other := state(s.manager, name)).is_on:
                yield WakingUnit(other, s.unit)
        waiting += [state(s.manager, u) for u in s.stopped_with if u.endswith(".service")]


def socket_of(unit: str) -> WakingUnit | None:
    """Return the socket that wakes a unit of the machine; None where none does."""
    wakers = wakers_of(state(Manager(is_user=False), unit))
    return next((w for w in wakers if w.unit.unit.endswith(".socket")), None)
