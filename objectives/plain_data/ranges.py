"""How low and how high a number of a spec may be, written beside its type."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """The lowest and the highest number allowed: `window_s: Annotated[float, Range(1, 1e7)] = 60.0`.

    In a tuple, a mapping or an optional field it holds for every number.
    """

    low: float
    high: float
