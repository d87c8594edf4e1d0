"""This module draws who holds a device's memory as a bar of signs, with what the signs mean."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from rich.text import Text

from objectives.devices.telemetry import Occupancy
from objectives.figures import service_name

MIB_PER_GIB = 1024
# drawn, drawn in ASCII, style: told apart without colours too
TENANT, OTHERS, FREE = ("▒", "t", "yellow"), ("▚", "o", "magenta"), ("·", ".", "dim")
SERVICE_SIGNS = (("▓", "green"), ("█", "blue"), ("▞", "cyan"), ("▩", "red"))  # by turns


def memory_bar(
    occupancy: Occupancy,
    services: Sequence[str],
    width: int,
    starting: str | None,
    *,
    is_ascii: bool = False,
) -> tuple[Text, Text]:
    """Return who holds the memory as a bar, and what its signs mean, in GiB.

    Args:
        services: The names of the services; what else holds memory is a tenant.
        width: Of the bar, in signs.
        starting: The server that starts now, to which goes what is in use beyond what is known;
            else "other" gets it.

    >>> memory = Occupancy(8192.0, 2048.0, {"game": 2048.0, "stt": 1024.0})
    >>> for text in memory_bar(memory, ["stt", "llm"], 8, "llm", is_ascii=True): print(text)
    ttsLLL..
    t game 2.0 s speech 1.0 L LLM 3.0 . free 2.0 of 8.0
    """
    held, others = dict(occupancy.held_mib), occupancy.others_mib
    rest = max(0.0, occupancy.total_mib - occupancy.free_mib - others - sum(held.values()))
    if starting is not None:
        held[starting] = held.get(starting, 0.0) + rest
    else:
        others += rest
    signs = {
        name: (sign, service_name(name)[0], style)
        for name, (sign, style) in zip(services, cycle(SERVICE_SIGNS), strict=False)
    }
    parts = [(service_name(name), mib, signs.get(name, TENANT)) for name, mib in held.items()]
    parts += [("other", others, OTHERS)] if others >= 0.05 * MIB_PER_GIB else []
    bar, legend, end = Text(), Text(), 0.0
    for name, mib, (sign, letter, style) in [*parts, ("free", occupancy.free_mib, FREE)]:
        drawing = letter if is_ascii else sign
        end += mib
        until = (
            width
            if sign == FREE[0]
            else min(width, round(width * end / max(1.0, occupancy.total_mib)))
        )
        bar.append(drawing * max(0, until - len(bar)), style)
        legend.append(drawing, style).append(f" {name} {mib / MIB_PER_GIB:.1f} ")
    legend.append(f"of {occupancy.total_mib / MIB_PER_GIB:.1f}")
    return bar, legend
