"""This module takes from launches what the model of the main effects is fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from objectives.allocation import OF_MEMORY, SPEECH, Allocation
from objectives.measurement import Measurement
from objectives.plain_data import card_sets
from study.analysis.main_effects.additive_model import CARD, FactorLevels, Observations


class AnyLaunch(Protocol):
    """A launch, of a study or a recording, has an allocation, and a measurement if it worked."""

    @property
    def allocation(self) -> Allocation: ...

    @property
    def measurement(self) -> Measurement | None: ...


def observations(launches: Sequence[AnyLaunch]) -> tuple[Observations, list[FactorLevels]]:
    """Return the settings of the launches that worked, with their measurements, and the others.

    The two classic parameters come first; the card is one more where there were several.
    """
    cards = cards_of(launches)
    letters = next(n for n in range(8, 999) if len({card[:n] for card in cards}) == len(cards))
    measured: list[tuple[FactorLevels, Measurement]] = []
    failed: list[FactorLevels] = []
    for launch in launches:
        values = launch.allocation.own_values
        ordered = dict.fromkeys((*OF_MEMORY, SPEECH, *sorted(values)))
        setting = {name: values[name] for name in ordered if name in values}
        if launch.measurement is None:
            failed.append(setting)
        else:
            own = "+".join(uuid[:letters] for uuid in card_sets.cards_of(_card(launch.measurement)))
            setting |= {CARD: own} if len(cards) > 1 else {}
            measured.append((setting, launch.measurement))
    return measured, failed


def cards_of(launches: Sequence[AnyLaunch]) -> set[str]:
    """Return the cards that measured something; a launch that failed does not name its card."""
    return {_card(launch.measurement) for launch in launches if launch.measurement is not None}


def _card(measurement: Measurement) -> str:
    return measurement.measured_on or "unknown"  # in recordings made before cards were kept
