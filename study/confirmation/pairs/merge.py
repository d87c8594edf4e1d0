"""This module merges the journals of several cards into one, each pair once; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from objectives.errors import BadInput
from study.confirmation.records import Pair, PairsJournal, Stress


def merged(journals: Mapping[str, PairsJournal]) -> PairsJournal:
    """Return what several journals of one confirmation hold together.

    A pair that two of them hold is one. Of the stress the worse counts, holds are those
    of the card that has most of them, and a launch that failed on
    any card failed.

    Args:
        journals: By the name of the file, at least one; of equal heads.

    Raises:
        BadInput: Two cards measured pairs of the same number, and so with the same arrivals; or
            one pair stands under two numbers.
    """
    pairs: dict[tuple[str, int], tuple[str, Pair]] = {}
    for name, journal in journals.items():
        for pair in journal.pairs:
            other, held = pairs.setdefault((pair.stage, pair.number), (name, pair))
            if held != pair:
                both = f"{other} and {name} both have a" if other != name else f"{name} has another"
                raise BadInput(
                    f"{both} {pair.stage.upper()} pair {pair.number}, with "
                    "the same arrivals; give each card a part of its own: --part 1/2, --part 2/2"
                )
    _refuse_copies(pairs.values())
    every = [*journals.values()]
    first = every[0]
    return replace(
        first,
        ramp_ranges={k: r for j in reversed(every) for k, r in j.ramp_ranges.items()},
        pairs=tuple(pair for _, (_, pair) in sorted(pairs.items())),
        holds=max((j.holds for j in every), key=len),
        stress=min((j.stress for j in every if j.stress), key=_room_mib, default=None),
        failure=next((j.failure for j in every if j.failure), None),
        left_out=tuple(dict.fromkeys(text for j in every for text in j.left_out)),
        earlier=max(j.earlier for j in every),
    )


def _refuse_copies(pairs: Iterable[tuple[str, Pair]]) -> None:
    """Refuse arrivals, or a moment of a card, that two pairs share: each is of one pair alone."""
    seen: dict[tuple[Any, ...], tuple[str, Pair]] = {}
    for name, pair in pairs:
        began = (pair.stage, pair.at, pair.card)
        for key in (began, (pair.seed,)) if pair.seed is not None else (began,):
            other, first = seen.setdefault(key, (name, pair))
            if first is not pair:
                what = "began at the same time on one card" if key == began else "share a seed"
                raise BadInput(
                    f"{first.stage.upper()} pair {first.number} of {other} and "
                    f"{pair.stage.upper()} pair {pair.number} of {name} {what}, "
                    "so that one is a copy; take what the cards wrote"
                )


def _room_mib(stress: Stress) -> float:
    """Return how much memory stayed free; less than any where it failed."""
    halves = [m for m in (stress.free_memory_mib, stress.after_restart_mib) if m is not None]
    return -math.inf if stress.failure is not None else min(halves, default=math.inf)
