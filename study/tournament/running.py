"""`RunningTrials` are the trials that somebody measures now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial

from .axes import Signature, signature
from .configurations import Axes, Config, coordinates
from .member import ATTRIBUTE


@dataclass(slots=True)
class RunningTrial:
    """This trial was running when it was last looked at.

    Args:
        trial: The trial as it was then.
        config: What it measures, as far as is known.
        key: The signature of `config`.
        is_final: Whether it has asked for all of that.
        row: Its coordinates in `space`, once somebody has asked for them.
        space: The space in which they are.
    """

    trial: FrozenTrial
    config: Config
    key: Signature
    is_final: bool
    row: NDArray[np.float64] | None = None
    space: Axes | None = None


class RunningTrials:
    """These are a study's running trials; what has not changed since a look is not read again."""

    def __init__(self) -> None:
        self._by_number: dict[int, RunningTrial] = {}
        self.are_final = True  # each has asked for all that it measures
        self.keys: Mapping[Signature, int] = {}  # what they measure, and how many of them do

    def look(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Look at all that are running now; return those that are new or have changed."""
        before, self._by_number, changed = self._by_number, {}, []
        are_final = True
        for trial in trials:
            seen = before.get(trial.number)
            # storages in memory give the same object until something is written
            if seen is None or (seen.trial is not trial and _has_changed(seen.trial, trial)):
                changed.append(trial)
                proposal = trial.system_attrs.get(ATTRIBUTE, {}).get("proposal", {})
                fixed = trial.system_attrs.get("fixed_params", {})
                config = {**proposal, **fixed, **trial.params}
                is_final = bool(trial.params) and trial.params.keys() == config.keys()
                seen = RunningTrial(trial, config, signature(config), is_final)
            seen.trial = trial
            are_final = are_final and seen.is_final
            if seen.config:  # one that has asked for nothing yet stands for nothing
                self._by_number[trial.number] = seen
        if changed or before.keys() != self._by_number.keys():
            self.keys = Counter(one.key for one in self._by_number.values())
        self.are_final = are_final
        return changed

    @property
    def configs(self) -> list[Config]:
        """Return what each of them measures, by the numbers of the trials."""
        return [one.config for one in self._by_number.values()]

    def coordinates(self, space: Axes) -> NDArray[np.float64]:
        """Return where they are in the space, (n, d), by the numbers of the trials."""
        new = [one for one in self._by_number.values() if one.row is None or one.space != space]
        for one, row in zip(new, coordinates(space, [one.config for one in new]), strict=True):
            one.row, one.space = row, space
        rows = [one.row for one in self._by_number.values() if one.row is not None]
        return np.array(rows).reshape(-1, len(space))


def _has_changed(before: FrozenTrial, now: FrozenTrial) -> bool:
    records = (trial.system_attrs.get(ATTRIBUTE) for trial in (before, now))
    return before.params != now.params or next(records) != next(records)
