"""This module runs one epoch of a study.

It asks for a generation, orders it so that servers restart least, measures it and tells results.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import optuna

from objectives import waiting
from objectives.allocation import Allocation
from objectives.evaluation import Measure
from study.bench.launch_order import order_by_restarts
from study.search.ask import (
    ask_trial,
    bridge_waits,
    card_alone,
    queue_launches,
    with_origin,
)
from study.search.expected_time import TimeBudget
from study.search.known_results import Ending, RunLimit
from study.search.others import wait_for
from study.search.tell import abandon, give_up, set_attributes
from study.search.trial_steps import TrialSteps
from study.storage.backends.writes import together
from study.storage.trial import Begun, State, Trial
from study.storage.trials import counted


@dataclass(slots=True, kw_only=True)
class Epoch(TrialSteps):
    """An epoch measures the trials of one run here, one after the other.

    Args:
        measuring: What measures, live or by a recording, is ready while it lasts; it is entered
            once there is something to measure.
    """

    measuring: AbstractContextManager[Measure]
    _last: Trial | None = field(default=None, init=False)
    _card: str | None = field(default=None, init=False)

    def run(self) -> Ending:
        """Measure until the budget, the time or the space ends; return which of them it was."""
        budget = TimeBudget(math.inf if self.is_replay else self.timeout_s, self.progress.on_line)
        self.open()
        if (ending := self._finished()) is not None:
            return ending
        with self.measuring as measure:
            return self._measured(measure, budget)

    def _measured(self, measure: Measure, budget: TimeBudget) -> Ending:
        """Measure one generation after the other."""
        self._card = card_alone(self.study)
        while (ending := self._finished()) is None:
            batch = self._generation()
            for position, (trial, allocation) in enumerate(batch):
                begun = with_origin(self.study, trial, allocation)
                earlier = self.results.answer(begun)
                needed_s = self.needed_s(earlier)
                if budget.is_over if earlier else not budget.lets_begin(needed_s):
                    for left, _ in batch[position:]:
                        give_up(self.study, left, State.NOT_STARTED)
                    return Ending(limit=RunLimit.TIME, needed_s=needed_s, timeout_s=self.timeout_s)
                left_of = [t for t, _ in batch[position + 1 :]]
                self._one(measure, trial, begun, earlier, left_of)
        return ending

    def _finished(self) -> Ending | None:
        """Return the end, once nothing is left to begin and no other process is at a trial."""
        while (ending := self._over()) is not None and not self.is_alone:
            if not wait_for(self.study, lambda _: True, "the last trials", self.progress.on_line):
                break
        return ending

    def _over(self) -> Ending | None:
        if self._left() <= 0:
            left = None if self.only is None else self.results.unmeasured()
            return Ending(limit=RunLimit.TRIALS, max_trials=self.max_trials, recorded_left=left)
        return self.results.end_of_space()

    def _generation(self) -> list[tuple[optuna.Trial, Allocation]]:
        """Ask for a whole batch, the same size for every sampler.

        It is ordered by launch key, the baseline first while there is no reference, or none of
        this card. What waited before that is in the batch too.
        """
        has_bridge = self._has_bridge()
        # another process must not ask for the same of the budget
        pairs = self._batch() if self.is_alone else together(self.study, self._batch)
        by_text: dict[str, list[optuna.Trial]] = {}
        for trial, allocation in pairs:
            by_text.setdefault(str(allocation), []).append(trial)
        allocations = [allocation for _, allocation in pairs]
        if self.ends.scorer.reference is None or has_bridge:
            allocations.sort(key=lambda a: str(a) != str(self.context.baseline))
        if not self.restarts:
            last = self._last.allocation if self._last else None
            allocations = order_by_restarts(self.context.services, allocations, last)
        return [(by_text[str(a)].pop(0), a) for a in allocations]

    def _left(self) -> int:
        """Return how many trials the budget has beside those that others are at."""
        return max(0, self.max_trials - len(counted(self.study)) - len(self._elsewhere()))

    def _batch(self) -> list[tuple[optuna.Trial, Allocation]]:
        size = min(self.selector.population_size, self._left())
        if (left := self.results.unmeasured()) is not None:
            size = min(size, left or 1)  # no room for more than is left; replicates one by one
        if self.only is not None:
            queue_launches(self.study, self.space, self.context.baseline, self.only, size)
        pairs = [ask_trial(self.study, self.space) for _ in range(size)]
        while self._has_bridge() and len(pairs) < self._left():
            pairs.append(ask_trial(self.study, self.space))
        return pairs

    def _has_bridge(self) -> bool:
        """Return whether this card is yet to measure the baseline; a replay has no cards."""
        return not self.is_replay and bridge_waits(self.study)

    def _one(
        self,
        measure: Measure,
        trial: optuna.Trial,
        begun: Begun,
        earlier: Trial | None,
        left: Sequence[optuna.Trial],
    ) -> None:
        """Bring one trial to its end whatever happens.

        On an interruption the ones behind it are given back.
        """
        try:
            waiting.check()
            if earlier is not None:
                self._last = self.ends.repeat(trial, begun, earlier)
            else:
                under_way = self.begin(trial, begun)
                outcome = measure(under_way.job)
                set_attributes(trial, card=self._card)
                self._last = self.ends.end(under_way, outcome)
        except BaseException as error:
            abandon(self.study, error, [trial], left)
            raise
