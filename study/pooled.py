"""The noise of one launch, pooled over everything that was launched more than once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import variance


def pooled(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Variance of one figure around the mean of its group, and its degrees of freedom; 0 and 0 where none repeats.

    groups: the figures of each configuration; one figure tells nothing

    >>> pooled([[9.0, 11.0], [20.0], [30.0, 30.0, 33.0]])
    (2.6666666666666665, 3)
    """
    again = [of for of in groups if len(of) > 1]
    freedom = sum(len(of) - 1 for of in again)
    return (sum(variance(of) * (len(of) - 1) for of in again) / freedom if freedom else 0.0), freedom
