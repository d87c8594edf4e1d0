"""A member of a tournament is one configuration, with what its trials have shown."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from optuna.trial import FrozenTrial

ATTRIBUTE = "tournament"  # our attribute of a trial and of the study
AT_BEST = 0.25  # measurements; what a trial could at best have been tells less than what it was
Rank = tuple[float, float, int]


@dataclass(slots=True)
class Member:
    """A member is one configuration, with what its known trials have shown.

    Args:
        first: Its trial with the lowest number.
        violation: The largest sum of excesses over 0 of a trial's constraints.
        values: Its fresh measurements, least first, negated where the study maximises.
        bound: What it could at best have been where it was pruned with every constraint met, in
            the unit of `values`; infinite where it was not.
        constraints: The worst value of each constraint.
        running: How many trials measure it now.
        is_spent: Whether it cannot be measured again.
    """

    first: FrozenTrial
    violation: float = 0.0
    values: list[float] = field(default_factory=list)
    bound: float = math.inf
    constraints: dict[str, float] = field(default_factory=dict)
    running: int = 0
    is_spent: bool = False

    @property
    def mean(self) -> float:
        """Return the mean of its values; infinite where it has none, or one of them is."""
        return (
            math.inf
            if math.inf in self.values or not self.values
            else math.fsum(self.values) / len(self.values)
        )

    @property
    def shown(self) -> list[float]:
        """Return its values; where it has none, what it could at best have been."""
        return self.values or ([self.bound] if math.isfinite(self.bound) else [])

    @property
    def weight(self) -> float:
        """Return how many measurements what is `shown` is worth."""
        return float(len(self.values)) or AT_BEST

    @property
    def rank(self) -> Rank:
        """Return its rank, the less the better: by violation, then by mean, then by number."""
        return self.violation, self.mean, self.first.number

    @property
    def is_candidate(self) -> bool:
        """Tell whether it may be recommended: it broke no constraint, and its mean is finite."""
        return self.violation == 0 and math.isfinite(self.mean)
