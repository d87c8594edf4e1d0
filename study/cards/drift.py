"""A card drifts where its baseline scores otherwise at the end than at the beginning."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from study.cards.contrasts import SAME, LaunchFigure
from study.rule.pooled import pooled
from study.rule.student_t import t_quantile


@dataclass(frozen=True, slots=True)
class Drift:
    """A drift is by how much more the last launch of the baseline scored than the first.

    Args:
        difference: In fitness.
        half: Half the width of its 95 % interval; None where nothing else was launched again on one
            card, so that nobody knows the noise.
    """

    difference: float
    half: float | None

    @property
    def exceeds_noise(self) -> bool | None:
        """Return whether the card drifts; None where that is not known."""
        return None if self.half is None else abs(self.difference) > self.half


def drift_of(launches: Sequence[LaunchFigure], card: str, baseline: str) -> Drift | None:
    """Return the drift of a card; None where it launched the baseline once at most.

    The noise is that of all else that one card launched again: a drift must not hide in its own.

    Args:
        launches: What every card measured, in order.
        card: The card.
        baseline: The text of the allocation in use today.
    """
    groups = defaultdict[tuple[str, str], list[float]](list)
    for launch in launches:
        groups[launch.card, launch.configuration].append(launch.value)
    own = groups.pop((card, baseline), [])
    if len(own) < 2:
        return None
    variance, freedom = pooled([*groups.values()])
    half = t_quantile(freedom) * math.sqrt(2 * variance) if variance > SAME**2 else None
    return Drift(own[-1] - own[0], half)
