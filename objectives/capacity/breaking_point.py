"""The breaking point is the highest rate at which 95 % of the turns are good. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GOOD_SHARE = 0.95
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class BreakingPoint:
    """The breaking point lies between two turns of a ramp.

    Args:
        last_pass_per_s: The highest rate whose fit passes, turns/s; None where none does.
        first_fail_per_s: The lowest rate above it, turns/s; None where all pass.
        turns_below: The number of turns up to the last that passes.
    """

    last_pass_per_s: float | None
    first_fail_per_s: float | None
    turns_below: int


def breaking_point(rates: Sequence[float], good: Sequence[bool]) -> BreakingPoint:
    """Fit a falling share of good turns over the rate, and return where it falls below 95 %.

    Args:
        rates: The rate at which each turn arrived, turns/s, in any order.
        good: Whether that turn was good.

    >>> breaking_point([1.0, 2.0, 3.0, 4.0], [True, True, False, False])
    BreakingPoint(last_pass_per_s=2.0, first_fail_per_s=3.0, turns_below=2)
    """
    import numpy as np  # noqa: PLC0415  a second of imports, for which no --help waits
    from scipy.optimize import isotonic_regression  # noqa: PLC0415

    if not rates:
        return BreakingPoint(None, None, 0)
    distinct, place, counts = np.unique(rates, return_inverse=True, return_counts=True)
    shares = np.bincount(place, weights=np.asarray(good, dtype=float)) / counts
    fit = isotonic_regression(shares, weights=counts.astype(float), increasing=False).x
    passing = int(np.count_nonzero(fit >= GOOD_SHARE - ROUNDING))
    return BreakingPoint(
        float(distinct[passing - 1]) if passing else None,
        float(distinct[passing]) if passing < len(distinct) else None,
        int(counts[:passing].sum()),
    )
