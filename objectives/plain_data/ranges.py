"""A range bounds a number of a spec, and stands beside its type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """A range holds the lowest and the highest number that a field may have.

    It stands in an annotation: `window_s: Annotated[float, Range(1, 1e7)] = 60.0`. In a tuple, a
    mapping or an optional field it holds for every number.

    Args:
        low: The lowest number that is allowed.
        high: The highest number that is allowed.
    """

    low: float
    high: float
