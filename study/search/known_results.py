"""What a study knows so far: the trials that count, the configurations that are settled, and whether any are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna

from objectives.allocation import Allocation
from study.search.ask import missing
from study.search.ending import Ending, Limit
from study.spec.model import Spec
from study.storage.trials import BRIDGE, REPLICATE, Begun, State, Trial, counted
from study.tournament import TournamentSampler, can_replicate, left


@dataclass(frozen=True, slots=True)
class Known:
    """Reads the storage anew for every question.

    available: how often a configuration can be measured; only: the launches to measure, instead of all
    """

    study: optuna.Study
    spec: Spec
    available: Callable[[Allocation], float]
    only: Sequence[Allocation] | None = None

    def measured(self, allocation: Allocation) -> list[Trial]:
        """What this configuration was measured as, copies left out."""
        return [
            r
            for r in counted(self.study)
            if str(r.allocation) == str(allocation) and r.repeat_of is None
        ]

    def is_last(self, allocation: Allocation) -> bool:
        """Whether the configuration cannot be measured any more after the next time."""
        return len(self.measured(allocation)) + 1 >= self.available(allocation)

    def answer(self, begun: Begun) -> Trial | None:
        """The trial whose result this one is told; None where it is measured: it is not settled, or wanted anew."""
        if str(begun.allocation) not in self._settled() or self._is_fresh(begun):
            return None
        found = self.measured(begun.allocation)
        return next((r for r in found if r.is_known), found[0])

    def end_of_space(self) -> Ending | None:
        """The end, once no configuration is left and none is to be measured again."""
        if self.unmeasured() != 0 or self._replicates():
            return None
        if self.only is not None:
            return Ending(limit=Limit.RECORDING)
        size, settled = self.spec.search_space.size or 0, len(self._settled())
        return Ending(limit=Limit.SPACE, size=size, settled=settled)

    def unmeasured(self) -> int | None:
        """Configurations that nobody has measured and nothing rules out; None in a space without an end."""
        if self.only is not None:
            return len(missing(self.study, self.only))
        if self.spec.search_space.size is None:
            return None
        if (
            isinstance(self.study.sampler, TournamentSampler)
            and (open_ones := left(self.study)) is not None
        ):
            return open_ones
        return self.spec.search_space.size - len(self._settled())

    def _settled(self) -> set[str]:
        """Configurations that need no further launch: measured, out of memory, or failed twice."""
        found = counted(self.study)
        failures = Counter(str(r.allocation) for r in found if r.state is State.FAILED)
        return {str(r.allocation) for r in found if r.is_known or failures[str(r.allocation)] >= 2}

    def _is_fresh(self, begun: Begun) -> bool:
        """Whether a known configuration is measured again: a baseline on another card, or a replicate."""
        if begun.role == REPLICATE:
            return len(self.measured(begun.allocation)) < self.available(begun.allocation)
        return begun.role == BRIDGE

    def _replicates(self) -> bool:
        """Whether the sampler would spend what remains of the budget on measuring the leaders again."""
        is_wanted = self.spec.selector.exhausted == "replicate"
        return (
            is_wanted
            and isinstance(self.study.sampler, TournamentSampler)
            and can_replicate(self.study)
        )
