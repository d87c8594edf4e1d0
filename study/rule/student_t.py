"""Student's t comes from scipy, which is imported where it is first needed."""

from __future__ import annotations

from functools import cache


@cache
def t_quantile(freedom: float, confidence: float = 0.95) -> float:
    """Return Student's t for a two-sided interval.

    >>> round(t_quantile(4), 3)
    2.776
    """
    from scipy.special import stdtrit  # noqa: PLC0415  0.3 s that --help need not wait for

    return float(stdtrit(freedom, (1 + confidence) / 2))
