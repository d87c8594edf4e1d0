"""Student's t distribution, computed here: to import scipy for it takes a third of a second.

`tests/study/rule/test_student_t.py` holds it against `scipy.special.stdtrit`.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import count
from statistics import NormalDist

NORMAL = 1e6  # beyond so many degrees of freedom it is the normal distribution to six digits
PRECISION = 1e-15
TINY = 1e-300  # in place of 0 in a denominator


@cache
def t_quantile(freedom: float, confidence: float = 0.95) -> float:
    """Return Student's t for a two-sided interval.

    >>> round(t_quantile(4), 3)
    2.776
    """
    if not freedom > 0:
        return math.nan
    if freedom > NORMAL:
        return NormalDist().inv_cdf((1 + confidence) / 2)
    low, high = 0.0, 1.0
    while _beyond(high, freedom) > 1 - confidence:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        if _beyond(middle, freedom) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _beyond(t: float, freedom: float) -> float:
    """Return the probability of a value farther from 0 than t."""
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly
        return 1 - _incomplete_beta(b, a, t * t / (freedom + t * t))
    return _incomplete_beta(a, b, x)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function by its continued fraction.

    Source: Press et al., Numerical Recipes (2007), section 6.4, by Lentz's method.
    """
    if x == 0:
        return 0.0
    factor = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    factor = math.exp(factor + a * math.log(x) + b * math.log1p(-x)) / a
    value, above, below = 1.0, 1.0, 0.0
    for i in count():
        m = i // 2
        if i % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)) if m else 1.0
        below = 1 / ((1 + term * below) or TINY)
        above = (1 + term / above) or TINY
        value *= above * below
        if abs(above * below - 1) < PRECISION:
            break
    return factor * (value - 1)
