"""The known results of a study are read from its storage.

They show which trials count, which configurations are settled, whether any are left, and so how a
run ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import optuna

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import OVERDUE
from objectives.search_space.space import Space
from study.search.ask import launches_left
from study.storage.trial import BRIDGE, REPLICATE, Begun, State, Trial
from study.storage.trials import counted
from study.tournament import TournamentSampler, can_replicate, left


class RunLimit(StrEnum):
    """A limit is what a run came to the end of."""

    TRIALS = "trials"
    TIME = "time"
    SPACE = "space"
    RECORDING = "recording"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An ending says why a run of a study ended.

    Args:
        limit: What it came to the end of.
        max_trials: The budget, over all runs.
        recorded_left: Launches of the recording that are not replayed; None where it follows none.
        needed_s: What the next trial takes, seconds.
        timeout_s: Of this run, seconds.
        size: Configurations in the space.
        settled: How many of them are measured; where fewer, failures rule out the others.
    """

    limit: RunLimit
    max_trials: int = 0
    recorded_left: int | None = None
    needed_s: float = 0.0
    timeout_s: float = 0.0
    size: int = 0
    settled: int = 0


@dataclass(frozen=True, slots=True)
class KnownResults:
    """The known results are read from the storage anew for every question.

    Args:
        study: What was measured.
        space: What is searched.
        available: How often a configuration can be measured.
        replicates: Whether the leaders are measured again once the space is measured.
        only: The launches to measure, instead of all.
    """

    study: optuna.Study
    space: Space
    available: Callable[[Allocation], float]
    replicates: bool
    only: Sequence[Allocation] | None = None

    def measured(self, allocation: Allocation) -> list[Trial]:
        """Return what this configuration was measured as, copies left out."""
        return [
            r
            for r in counted(self.study)
            if str(r.allocation) == str(allocation) and r.repeat_of is None
        ]

    def is_last(self, allocation: Allocation) -> bool:
        """Say whether the configuration cannot be measured any more after the next time."""
        return len(self.measured(allocation)) + 1 >= self.available(allocation)

    def answer(self, begun: Begun) -> Trial | None:
        """Return the trial whose result this one is told.

        It is None where this one is measured: it is not settled, or asked for anew.
        """
        if str(begun.allocation) not in self._settled() or self._is_fresh(begun):
            return None
        trials = self.measured(begun.allocation)
        return next((r for r in trials if r.is_known), trials[0])

    def end_of_space(self) -> Ending | None:
        """Return the end, once no configuration is left and none is to be measured again."""
        if self.unmeasured() != 0 or self.replicates_now():
            return None
        if self.only is not None:
            return Ending(limit=RunLimit.RECORDING)
        size, settled = self.space.size or 0, len(self._settled())
        return Ending(limit=RunLimit.SPACE, size=size, settled=settled)

    def unmeasured(self, pending: Sequence[Allocation] = ()) -> int | None:
        """Count the configurations that nobody has measured and nothing rules out.

        It is None in a space without an end.

        Args:
            pending: What is being measured, which does not count.
        """
        if self.only is not None:
            return len(launches_left(self.study, self.only))
        if self.space.size is None:
            return None
        if (
            isinstance(self.study.sampler, TournamentSampler)
            and (open_ones := left(self.study)) is not None
        ):
            return open_ones
        return self.space.size - len(self._settled() | {str(a) for a in pending})

    def _settled(self) -> set[str]:
        """Return what needs no further launch: measured, out of memory, or failed twice."""
        trials = counted(self.study)
        failures = Counter(str(r.allocation) for r in trials if r.state is State.FAILED)
        overdue = [r for r in trials if r.diagnosis and r.diagnosis.failure_class == OVERDUE]
        failures.update(str(r.allocation) for r in overdue)  # it was interrupted once before
        return {str(r.allocation) for r in trials if r.is_known or failures[str(r.allocation)] >= 2}

    def _is_fresh(self, begun: Begun) -> bool:
        """Say whether a known configuration is measured again.

        It is where it is a baseline on another card, or a replicate.
        """
        if begun.role == REPLICATE:
            return len(self.measured(begun.allocation)) < self.available(begun.allocation)
        return begun.role == BRIDGE

    def replicates_now(self) -> bool:
        """Say whether the sampler would spend the rest of the budget on the leaders once more."""
        return (
            self.replicates
            and isinstance(self.study.sampler, TournamentSampler)
            and can_replicate(self.study)
        )
