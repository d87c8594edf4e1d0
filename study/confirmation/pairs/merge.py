"""This module merges the journals of several cards into one, each pair once; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from objectives.errors import BadInput
from study.confirmation.journal_checks import each_once
from study.confirmation.records import PairsJournal, Stress


def merged(journals: Mapping[str, PairsJournal]) -> PairsJournal:
    """Return what several journals of one confirmation hold together.

    A pair that two of them hold is one. Of the stress the worse counts, holds are those
    of the card that has most of them, and a launch that failed on
    any card failed.

    Args:
        journals: By the name of the file, at least one; of equal heads.

    Raises:
        BadInput: Two cards measured pairs of the same number, and so with the same arrivals; or
            one pair stands under two numbers, or the cards had two drivers.
    """
    every = [*journals.values()]
    first = every[0]
    _refuse_two_drivers(journals)
    return replace(
        first,
        ramp_ranges={k: r for j in reversed(every) for k, r in j.ramp_ranges.items()},
        pairs=each_once(journals),
        holds=max((j.holds for j in every), key=len),
        stress=min((j.stress for j in every if j.stress), key=_room_mib, default=None),
        today=next((j.today for j in every if j.today), None),
        failure=next((j.failure for j in every if j.failure), None),
        left_out=tuple(dict.fromkeys(text for j in every for text in j.left_out)),
        earlier=max(j.earlier for j in every),
    )


def _refuse_two_drivers(journals: Mapping[str, PairsJournal]) -> None:
    drivers = {j.head.driver: name for name, j in journals.items() if j.head.driver is not None}
    if len(drivers) > 1:
        both = " and ".join(f"{name} with driver {driver}" for driver, name in drivers.items())
        raise BadInput(f"{both} are two confirmations; leave the other driver's out")


def _room_mib(stress: Stress) -> float:
    """Return how much memory stayed free; less than any where it failed."""
    halves = [m for m in (stress.free_memory_mib, stress.after_restart_mib) if m is not None]
    return -math.inf if stress.failure is not None else min(halves, default=math.inf)
