"""The scale of a card is what its launches are relative to: its own baseline where it differs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from objectives.fitness import Reference, reference_of
from objectives.measurement import Measurement
from study.cards.contrasts import Contrast, LaunchFigure, contrasts, is_beyond_noise
from study.cards.drift import Drift, drift_of
from study.storage.trial import Trial

AGAIN = 1.1  # cards are compared anew once so many times more was launched again


@dataclass(frozen=True, slots=True)
class CardEffect:
    """A card effect is what a card alone adds to the fitness.

    Args:
        card: The UUID of the card.
        launches: How many launches it measured.
        fitness: The mean fitness of the baseline there, against the study's one reference; None
            where it did not measure it.
        difference: By how much what was measured there and elsewhere scores more than on the card
            of the reference; None for that card, and where one of them has no baseline.
        interval: The 95 % interval of the difference; None where too little was measured twice, so
            that nobody knows the noise.
        drift: By how much its baseline changed; None where it measured that once at most.
    """

    card: str
    launches: int
    fitness: float | None
    difference: float | None = None
    interval: tuple[float, float] | None = None
    drift: Drift | None = None

    @property
    def exceeds_noise(self) -> bool | None:
        """Return whether the card differs; None where that is not known."""
        return is_beyond_noise(self.interval)


@dataclass(slots=True)
class CardScales:
    """Card scales hold what the cards of a study measured, that of the reference first.

    Args:
        baseline: The text of the allocation in use today.
    """

    baseline: str
    _launches: list[tuple[str, str, float, Reference]] = field(default_factory=list, init=False)
    _known: set[str] = field(default_factory=set, init=False)
    _again: int = field(default=0, init=False)
    _due: float = field(default=1.0, init=False)

    def add(self, allocation: str, measured: Measurement, fitness: float) -> None:
        """Add a launch, with its fitness against the study's one reference."""
        if (own := reference_of(measured)) is not None:
            self._launches.append((measured.measured_on or "", allocation, fitness, own))
            self._again += allocation in self._known
            self._known.add(allocation)

    @property
    def launches(self) -> int:
        """Return how many launches there are."""
        return len(self._launches)

    def is_due(self) -> bool:
        """Return whether so much was launched again that cards are to be compared anew."""
        if self._again < self._due:
            return False
        self._due = max(self._again + 1, self._again * AGAIN)
        return True

    def effects(self) -> list[CardEffect]:
        """Return the effect of each card, that of the reference first."""
        cards = list(dict.fromkeys(card for card, *_ in self._launches))
        launches, by_card = self._scores(), self._contrasts()
        effects = []
        for card in cards:
            mine = [x for x in self._launches if x[0] == card]
            scores = [fitness for _, name, fitness, _ in mine if name == self.baseline]
            mean = fmean(scores) if scores else None
            drift = drift_of(launches, card, self.baseline)
            difference, interval = by_card.get(card, (None, None))
            effects.append(CardEffect(card, len(mine), mean, difference, interval, drift))
        return effects

    def _scores(self) -> list[LaunchFigure]:
        return [LaunchFigure(*x[:3]) for x in self._launches]

    def _contrasts(self) -> dict[str, Contrast]:
        """Return by how much what each card measured scores more than on that of the reference."""
        return contrasts(self._scores(), self._comparable())

    def first(self, launches: int) -> CardScales:
        """Return what the first so many launches tell."""
        scales = CardScales(self.baseline)
        scales._launches = self._launches[:launches]
        return scales

    def references(self, reference: Reference) -> dict[str, Reference]:
        """Return what the launches of each card that differs by more than noise are relative to.

        It is the reference as it would be on that card: each figure times its ratio there, in what
        both cards measured.
        """
        differ = [card for card, x in self._contrasts().items() if is_beyond_noise(x.interval)]
        if not differ:
            return {}
        p95, per_s = reference.latency_p95_ms, reference.capacity_turns_per_s
        ratios = {
            s: self._ratios([own.latency_p95_ms.get(s) for *_, own in self._launches]) for s in p95
        }
        capacity = self._ratios([own.capacity_turns_per_s for *_, own in self._launches])
        return {
            card: Reference(
                {service: ratios[service].get(card, 1.0) * ms for service, ms in p95.items()},
                None if per_s is None else capacity.get(card, 1.0) * per_s,
            )
            for card in differ
        }

    def _ratios(self, figures: Sequence[float | None]) -> dict[str, float]:
        """Return each card's figure over that of the reference's card; none where one lacks it.

        Args:
            figures: The figure of each launch.
        """
        logs = [
            LaunchFigure(card, name, math.log(figure))
            for (card, name, *_), figure in zip(self._launches, figures, strict=True)
            if figure
        ]
        has_baseline = {x.card for x in logs if x.configuration == self.baseline}
        cards = [card for card in self._comparable() if card in has_baseline]
        if cards[:1] != self._comparable()[:1]:
            return {}
        return {
            card: math.exp(contrast.difference) for card, contrast in contrasts(logs, cards).items()
        }

    def _comparable(self) -> list[str]:
        """Return the cards that measured the baseline; none where that of the reference did not."""
        cards = dict.fromkeys(card for card, name, *_ in self._launches if name == self.baseline)
        return list(cards) if self._launches and self._launches[0][0] in cards else []


def scales_of(
    trials: Iterable[Trial], baseline: str, fitness: Callable[[Trial], float]
) -> CardScales:
    """Return the scales of the cards of a study.

    Args:
        trials: What was measured.
        baseline: The text of the allocation in use today.
        fitness: It scores a trial against the study's one reference.
    """
    scales = CardScales(baseline)
    for t in sorted(trials, key=lambda t: not t.is_reference):
        if t.measurement is not None and t.repeat_of is None:
            scales.add(str(t.allocation), t.measurement, fitness(t))
    return scales
