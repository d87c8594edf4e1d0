"""Some launches only make cards comparable: a baseline on each, each leader on a second one.

A card measures the baseline as a bridge to the others, and again to see it drift. Before a study
ends its leaders are measured on a second card, so that none wins by its card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import optuna

from objectives.allocation import Allocation
from objectives.devices.device import Identity
from study.analysis.configurations import Configuration, configurations_in
from study.analysis.decision import decision_of
from study.analysis.reweigh import of_all_cards
from study.search.ask import needs_bridge, note_card
from study.storage.context import StudyContext
from study.storage.trial import Trial

BRIDGE_EVERY = 20  # trials of a card: so often it measures the baseline again
LEADERS = 3
PART_OF_BUDGET = 8  # trials of it leave one for a leader


@dataclass(slots=True)
class Bridges:
    """The bridges of a run are launches of its baseline, on each card.

    Args:
        study: It keeps the cards that have measured the baseline.
    """

    study: optuna.Study
    _since: Counter[str] = field(default_factory=Counter, init=False)  # its baseline, by card
    _bridged: set[str] = field(default_factory=set, init=False)  # cards that need no bridge

    def is_due(self, card: Identity) -> bool:
        """Return whether a card is to measure the baseline, now or again."""
        if self._since[card.uuid] >= BRIDGE_EVERY:
            return True
        if card.uuid not in self._bridged and not needs_bridge(self.study, card):
            self._bridged.add(card.uuid)
        return card.uuid not in self._bridged

    def note(self, card: Identity, *, is_baseline: bool) -> None:
        """Note that a card has measured a trial."""
        self._since[card.uuid] += 1
        if is_baseline:
            self._since[card.uuid] = 0
            note_card(self.study, card)


def finals_in(max_trials: int) -> int:
    """Return how many launches at most are kept for leaders.

    >>> finals_in(7), finals_in(16), finals_in(400)
    (0, 2, 3)
    """
    return min(LEADERS, max_trials // PART_OF_BUDGET)


@dataclass(slots=True)
class Finals:
    """The finals of a run are launches of its leaders on a second card.

    Args:
        context: What the study asks.
        left: How many launches are left for them.
    """

    context: StudyContext
    left: int
    _counted: int = field(default=-1, init=False)  # trials, when the leaders were looked for
    _comparable: set[str] = field(default_factory=set, init=False)
    _leaders: list[tuple[Allocation, str]] = field(default_factory=list, init=False)

    def leader(
        self, cards: Collection[str], trials: Sequence[Trial], under_way: Collection[str]
    ) -> Allocation | None:
        """Return the best leader that one card alone has measured and one of these may; or None.

        Both cards have measured the baseline, so that it is compared with that on two cards.

        Args:
            cards: The UUIDs of cards.
            trials: What was measured.
            under_way: The texts of the allocations that are being measured.
        """
        if self.left <= 0:
            return None
        if len(trials) != self._counted:
            self._look(trials)
        may = self._comparable.intersection(cards)
        for allocation, own in self._leaders:
            if may - {own} and str(allocation) not in under_way:
                return allocation
        return None

    def _look(self, trials: Sequence[Trial]) -> None:
        """Find the leaders of a study that only one card has measured."""
        rows, today = of_all_cards(trials, self.context), str(self.context.baseline)
        launched = configurations_in(rows)
        self._counted, self._leaders = len(trials), []
        self._comparable = {
            card for c in launched if str(c.allocation) == today for card in _cards(c)
        }
        if len(self._comparable) < 2:
            return
        decision = decision_of(rows, self.context)
        by_values = {frozenset(c.allocation.own_values.items()): c for c in launched}
        standing = (by_values[frozenset(s.params.items())] for s in decision.standings)
        able = [c for c in standing if decision.against(c.allocation) is None]
        others = [c for c in able if str(c.allocation) != today]
        for leader in others[:LEADERS]:
            own = _cards(leader)
            if len(own) == 1 and own <= self._comparable:
                self._leaders.append((leader.allocation, own.pop()))


def _cards(configuration: Configuration) -> set[str]:
    measurements = (t.measurement for t in configuration.measured)
    return {m.measured_on or "" for m in measurements if m is not None}
