"""This module says what room each device of a study has, before anything is launched there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from objectives.devices.device_set import Room
from objectives.engines.places import HOST
from study.bench.source import Source


def rooms_of(
    devices: Mapping[str, str], source: Source, lent: Sequence[str], pids: Collection[int] = ()
) -> dict[str, Room]:
    """Return each device by name with what others hold of it now, the LLM's first.

    Of a card elsewhere, which nobody looked at, every GPU of the spec is taken for such a one.

    Args:
        devices: The devices of the spec that have names.
        source: What figures would come from.
        lent: The units whose memory the study would have.
        pids: The processes of containers whose memory it would have.
    """
    if source.bench is None:
        names = [n for n in devices if n != HOST] if source.recording is None else []
        first = next(iter(devices), "")
        return dict.fromkeys([first, *names], Room(source.identity, 0.0))
    rooms = {}
    for name, device in source.bench.devices.items():
        occupants = source.bench.occupants_of(name)
        held_mib = device.identity.total_mib - device.sample().free_mib
        held_mib -= sum(o.mib or 0.0 for o in occupants if o.unit in lent or o.pid in pids)
        rooms[name] = Room(device.identity, held_mib)
    return rooms
