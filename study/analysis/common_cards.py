"""Where cards differ, two configurations are compared here on the cards that measured both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean

from study.analysis.configurations import Configuration


def cards_apart(configuration: Configuration) -> dict[str | None, Configuration]:
    """Return the launches of a configuration by the card whose baseline they are relative to.

    Those of all cards that do not differ are together.
    """
    cards = dict.fromkeys(t.own_card for t in configuration.measured)
    return {card: _on(configuration, [card]) for card in cards}


def on_common_cards(
    today: Configuration, other: Configuration, configurations: Sequence[Configuration]
) -> tuple[Configuration, Configuration, Sequence[Configuration]]:
    """Return two configurations as launched on the cards that measured both, and all by card.

    Where no card differs by more than noise, nothing changes. Where no card measured both, neither
    has a launch.
    """
    if not any(t.own_card for c in configurations for t in c.measured):
        return today, other, configurations
    common = cards_apart(today).keys() & cards_apart(other).keys()
    apart = [part for c in configurations for part in cards_apart(c).values()]
    return _on(today, common), _on(other, common), apart


def mean_by_card(configuration: Configuration, values: Sequence[float]) -> float:
    """Return the mean over the cards of the mean of each, so that none counts for more launches.

    Args:
        configuration: What was launched.
        values: A value of each of its launches.
    """
    by_card: dict[str | None, list[float]] = {}
    for trial, value in zip(configuration.measured, values, strict=True):
        by_card.setdefault(trial.own_card, []).append(value)
    return fmean(fmean(own) for own in by_card.values())


def _on(configuration: Configuration, cards: Iterable[str | None]) -> Configuration:
    among = [*cards]
    measured = tuple(t for t in configuration.measured if t.own_card in among)
    return replace(configuration, measured=measured)
