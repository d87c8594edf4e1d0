"""This module holds what a trial that broke a constraint tells of those that demand as much."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from .axes import signature
from .configurations import Config

Monotone = Mapping[str, Mapping[str, int]]  # by constraint and parameter: 1, -1 or 0


class Frontier:
    """A frontier is what the trials tell of one constraint by the directions declared for it.

    That is strong evidence and no law: a direction may be wrong, and a failure may have had a cause
    of its own. A trial that met the constraint although it demands at least as much refutes it.

    Args:
        directions: By parameter 1, -1 or 0; see `demands_at_least`.

    Attributes:
        is_law: Whether none is a direction, so that none may be wrong: what does not matter is
            said, and all else must be equal.
    """

    def __init__(self, directions: Mapping[str, int]) -> None:
        self._directions = directions
        self.is_law = not any(directions.values())
        self._broke: list[FrozenTrial] = []  # none of them implies another
        self._implied: list[FrozenTrial] = []  # by one of those, while it is not refuted
        self._met: list[FrozenTrial] = []  # none of them demands as much as another

    def broke(self, trial: FrozenTrial) -> None:
        """Note a trial that broke the constraint."""
        if any(self._demands(met, trial) for met in self._met):
            return
        if any(self._demands(trial, other) for other in self._broke):
            self._implied.append(trial)
            return
        self._implied += [other for other in self._broke if self._demands(other, trial)]
        self._broke = [other for other in self._broke if not self._demands(other, trial)] + [trial]

    def met(self, trial: FrozenTrial) -> None:
        """Note a trial that met it."""
        if any(self._demands(other, trial) for other in self._met):
            return
        self._met = [other for other in self._met if not self._demands(trial, other)] + [trial]
        if any(self._demands(trial, other) for other in self._broke):
            again, self._broke, self._implied = [*self._broke, *self._implied], [], []
            for other in again:
                self.broke(other)

    def rules_out(self, config: Config) -> bool:
        """Tell whether it demands at least as much as what broke the constraint."""
        return any(demands_at_least(config, trial, self._directions) for trial in self._broke)

    def _demands(self, trial: FrozenTrial, other: FrozenTrial) -> bool:
        return demands_at_least(trial.params, other, self._directions)


def demands_at_least(
    config: Mapping[str, Any], broken: FrozenTrial, directions: Mapping[str, int]
) -> bool:
    """Tell whether every parameter demands at least as much as in a trial that broke a constraint.

    Direction 1: more demands more; -1: less does; 0: it does not matter. Without a direction, only
    the same value is known to.
    """
    for name, value in broken.params.items():
        direction = directions.get(name)
        if direction == 0:
            continue
        if name not in config:
            return False
        here, there = _order(broken, name, config[name]), _order(broken, name, value)
        if direction is None or here is None or there is None:
            if signature({name: config[name]}) != signature({name: value}):
                return False
        elif direction * (here - there) < -1e-12 * max(abs(here), abs(there)):
            return False
    return True


def _order(trial: FrozenTrial, name: str, value: Any) -> float | None:
    """Return a number itself, and of a category its place in the list, or None if it has none."""
    distribution = trial.distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.choices.index(value)) if value in distribution.choices else None
    return float(value)
