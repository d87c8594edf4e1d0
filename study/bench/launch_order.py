"""This module orders allocations so that servers restart least, by their commands."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.allocation import Allocation
from objectives.engines.registry import engines_of
from objectives.services import Services


def order_by_restarts(
    services: Services, allocations: Sequence[Allocation], running: Allocation | None = None
) -> list[Allocation]:
    """Return the order that restarts servers least.

    Equal launch keys stand side by side, those of `running` first.
    """
    keys = {
        str(a): launch_key(services, a) for a in ([running] if running else []) + [*allocations]
    }
    turns = {key: turn for turn, key in enumerate(dict.fromkeys(keys.values()))}
    return sorted(allocations, key=lambda a: turns[keys[str(a)]])


def launch_key(services: Services, allocation: Allocation) -> tuple[str, ...]:
    """Return the commands of the servers that ask for a share of the device: equal ones are kept.

    They load the largest models, so their starts are what counts.
    """
    ordered = Allocation(dict(sorted(allocation.values.items())))  # however a file orders them
    asking = [e for e in engines_of(services) if e.has_share]
    return tuple(str(e.command(ordered, {})) for e in asking)
