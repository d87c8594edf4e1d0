"""This module says in words whether the cards of a study differ by more than noise."""

from __future__ import annotations

from collections.abc import Sequence

from study.cards.card_scales import CardEffect
from study.cards.drift import Drift
from study.lanes.card_names import short_name


def cards_in_words(effects: Sequence[CardEffect]) -> list[str]:
    """Return a line for each card; none where there is only one."""
    return [_in_words(effect, effects[0]) for effect in effects] if len(effects) > 1 else []


def _in_words(effect: CardEffect, first: CardEffect) -> str:
    name = short_name(effect.card) or "a card that is not named"
    text = f"{name} measured {effect.launches} launches"
    if effect.fitness is None:
        return f"{text}, the baseline not among them"
    text += f"; the baseline scored {effect.fitness:.3f}{_drift(effect.drift)}"
    if effect.difference is None:
        return text
    more, other = _more(effect.difference), short_name(first.card)
    text += f"; what both measured scored {more} than on {other}"
    if effect.interval is None:
        return f"{text}; too little was measured twice to tell the noise, so that may be noise"
    low, high = effect.interval
    text += f" (95 % interval {_more(low)} to {_more(high)})"
    if not effect.exceeds_noise:
        return f"{text}: no more than noise"
    return f"{text}: more than noise; its launches are scored against its own baseline"


def _drift(drift: Drift | None) -> str:
    """Say how the last launch of the baseline scored, beside the first."""
    if drift is None:
        return ""
    text = f", last {_more(drift.difference)} than first"
    if drift.half is None:
        return f"{text}, which may be noise"
    if not drift.exceeds_noise:
        return f"{text}, which is noise"
    return f"{text}, which is more than noise ({drift.half:.3f}): the card drifts"


def _more(difference: float) -> str:
    """Return a difference without a sign.

    >>> _more(-0.0184), _more(0.02)
    ('0.018 less', '0.020 more')
    """
    return f"{abs(difference):.3f} {'less' if difference < 0 else 'more'}"
