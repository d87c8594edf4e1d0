"""This module says how many more trials it takes until the best of few is measured.

Expected improvement asks how much better a measurement will be. Where every configuration that is
left can be listed, the question itself can be answered: draws of what all of them may be worth
say, of each, how likely it is the best, and what is left to search once it was measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .shape import Array

OUTCOMES = 8  # of a measurement: as many classes of its value, equally likely
ENOUGH = 4 * OUTCOMES  # draws in which the best is not among what was measured


def trials_left(values: Array, seen: Array, is_open: NDArray[np.bool_]) -> Array | None:
    """Return the trials that are expected after one at each open configuration, (m,).

    After it, what is open would be measured in order of how likely each is the best, given in
    which class the measured value lies; nothing more would be learnt on the way. A draw where the
    best is not open tells nothing.

    Args:
        values: Draws of what each configuration is worth, to be minimised, (n, m + others);
            infinite where it does not fit.
        seen: The same as a measurement would show it, noise and all.
        is_open: Which of them are left to be measured, m of them.

    Returns:
        None where the best is almost certainly measured already.
    """
    best = values.argmin(1)
    is_useful = is_open[best]
    n, size = int(is_useful.sum()), values.shape[1]
    if n < ENOUGH:
        return None
    best, seen = best[is_useful], seen[is_useful]
    outcome = np.arange(n) * OUTCOMES // n
    left = np.empty(int(is_open.sum()))
    for row, at in enumerate(np.flatnonzero(is_open)):
        ranked = best[np.argsort(seen[:, at], kind="stable")]
        counts = np.bincount(outcome * size + ranked, minlength=OUTCOMES * size)
        counts = counts.reshape(OUTCOMES, size)
        counts[:, at] = 0  # the search has ended there
        left[row] = (-np.sort(-counts, 1)).sum(0) @ np.arange(1, size + 1) / n
    return left
