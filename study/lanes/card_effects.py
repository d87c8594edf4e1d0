"""Say whether the cards of a study differ by more than noise, by the baseline that each measured.

The noise of a launch is pooled over all that one card measured more than once. Pure.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from objectives.allocation import Allocation
from study.analysis.noise import pooled
from study.lanes.lane import short_name
from study.rule.student_t import t_quantile
from study.storage.trials import Trial


@dataclass(frozen=True, slots=True)
class CardEffect:
    """A card effect is what a card alone adds to the fitness.

    Args:
        card: The UUID of the card.
        launches: How many launches it measured.
        fitness: The mean fitness of the baseline there; None where it did not measure it.
        difference: By how much that is more than on the card of the reference; None for that card,
            and where one of them has no baseline.
        interval: The 95 % interval of the difference; None where nothing was measured twice on one
            card, so that nobody knows the noise.
    """

    card: str
    launches: int
    fitness: float | None
    difference: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def exceeds_noise(self) -> bool | None:
        """Return whether the card differs; None where that is not known."""
        if self.interval is None:
            return None
        return not self.interval[0] <= 0.0 <= self.interval[1]


def card_effects(trials: Sequence[Trial], baseline: Allocation) -> list[CardEffect]:
    """Return the effect of each card, that of the reference first."""
    own = [t for t in trials if t.measurement and t.repeat_of is None and t.fitness is not None]
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for t in sorted(own, key=lambda t: not t.is_reference):
        card = (t.measurement and t.measurement.measured_on) or ""
        groups[card, str(t.allocation)].append(t.fitness or 0.0)
    variance, freedom = pooled(list(groups.values()))
    effects: list[CardEffect] = []
    cards = list(dict.fromkeys(card for card, _ in groups))
    first = groups.get((cards[0], str(baseline)), []) if cards else []
    for card in cards:
        launches = sum(len(values) for (c, _), values in groups.items() if c == card)
        mine = groups.get((card, str(baseline)), [])
        difference = interval = None
        if card != cards[0] and mine and first:
            difference = fmean(mine) - fmean(first)
            if freedom:
                error = math.sqrt(variance * (1 / len(mine) + 1 / len(first)))
                half = t_quantile(freedom) * error
                interval = difference - half, difference + half
        fitness = fmean(mine) if mine else None
        effects.append(CardEffect(card, launches, fitness, difference, interval))
    return effects


def cards_in_words(effects: Sequence[CardEffect]) -> list[str]:
    """Return a line for each card; none where there is only one."""
    return [_in_words(effect, effects[0]) for effect in effects] if len(effects) > 1 else []


def _in_words(effect: CardEffect, first: CardEffect) -> str:
    name = short_name(effect.card) or "a card that is not named"
    text = f"{name} measured {effect.launches} launches"
    if effect.fitness is None:
        return f"{text}, the baseline not among them"
    text += f"; the baseline scored {effect.fitness:.3f}"
    if effect.difference is None:
        return text
    text += f", {_more(effect.difference)} than on {short_name(first.card)}"
    if effect.interval is None:
        return f"{text}; nothing was measured twice on one card, so that may be noise"
    low, high = effect.interval
    text += f" (95 % interval {_more(low)} to {_more(high)})"
    if not effect.exceeds_noise:
        return f"{text}: no more than noise"
    return f"{text}: more than noise; confirm.py launches winner and baseline on one card"


def _more(difference: float) -> str:
    """Return a difference without a sign.

    >>> _more(-0.0184), _more(0.02)
    ('0.018 less', '0.020 more')
    """
    return f"{abs(difference):.3f} {'less' if difference < 0 else 'more'}"
