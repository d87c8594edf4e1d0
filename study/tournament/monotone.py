"""This module tells whether a configuration demands as much as one that broke a constraint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from .axes import signature
from .configurations import Config

Monotone = Mapping[str, Mapping[str, int]]  # by constraint and parameter: 1, -1 or 0


def demands_at_least(config: Config, broken: FrozenTrial, directions: Mapping[str, int]) -> bool:
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
