"""`Arms` holds one figure of both launches of every pair; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

from objectives.figures import Direction

LOST = -math.inf  # the gain of a pair in which the baseline has a figure and the winner none
Key = tuple[str, str]  # workload and flat name of a figure
Role = Literal["baseline", "winner"]
ROLES: tuple[Role, Role] = ("baseline", "winner")


@dataclass(frozen=True, slots=True)
class Arms:
    """Arms hold one figure of baseline and winner, a value for each pair in the pairs' order.

    Args:
        baseline: Its values; None where it was not measured, infinite where too many requests
            failed.
        winner: The same.
        at_least: Where a value of the baseline is not known, what it is at least; empty for none.
    """

    baseline: tuple[float | None, ...]
    winner: tuple[float | None, ...]
    at_least: tuple[float | None, ...] = ()

    def first(self, pairs: int) -> Arms:
        """Return the first pairs."""
        return Arms(self.baseline[:pairs], self.winner[:pairs], self.at_least[:pairs])

    @property
    def against(self) -> Arms:
        """Return what counts against the winner: what the baseline has, or has at least.

        >>> Arms((None, 3.0), (1.0, 1.0), (4.0, None)).against
        Arms(baseline=(4.0, 3.0), winner=(1.0, 1.0), at_least=())
        """
        if not self.at_least:
            return self
        pairs = zip(self.baseline, self.at_least, strict=True)
        return Arms(tuple(b if a is None else a for a, b in pairs), self.winner)

    @property
    def is_measured(self) -> bool:
        """Return whether any launch has the figure."""
        return any(arm.count(None) < len(arm) for arm in (self.baseline, self.winner))

    def gains(self, direction: Direction) -> tuple[float | None, ...]:
        """Return the log-ratio of each pair, positive where the winner is better.

        None where the baseline has nothing to compare with, LOST where only the winner has nothing.

        >>> Arms((200.0, None, 5.0), (100.0, 5.0, math.inf)).gains(Direction.DOWN)
        (0.6931471805599453, None, -inf)
        """
        sign = 1 if direction is Direction.UP else -1
        return tuple(map(_gain, self.baseline, self.winner, repeat(sign)))


def _gain(old: float | None, new: float | None, sign: int) -> float | None:
    if old is None or old == math.inf:
        return None
    if new is None or new == math.inf:
        return LOST
    if old == new and (old or sign < 0):  # two capacities or shares of 0 are not alike
        return 0.0
    if old <= 0:
        return None
    return sign * math.log(new / old) if new > 0 else LOST


def known(gains: tuple[float | None, ...]) -> list[float]:
    """Return the finite log-ratios."""
    return [g for g in gains if g is not None and g != LOST]


def first_pairs(figures: Mapping[Key, Arms], pairs: int) -> dict[Key, Arms]:
    """Return the figures of the first pairs."""
    return {key: arms.first(pairs) for key, arms in figures.items()}
