"""Student's t is that of scipy."""

import math

import pytest
from scipy.special import stdtrit

from study.rule.student_t import t_quantile


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.975, 0.999])
def test_it_is_that_of_scipy(confidence: float) -> None:
    for freedom in (0.3, 1, 1.5, 2, 2.7, 3, 5, 12.4, 30, 57.3, 100, 343.1, 1e4):
        expected = stdtrit(freedom, (1 + confidence) / 2)
        assert t_quantile(freedom, confidence) == pytest.approx(expected, rel=1e-10)
    for freedom in (1e6, 1e7, math.inf):
        expected = stdtrit(freedom, (1 + confidence) / 2)
        assert t_quantile(freedom, confidence) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("freedom", [0.0, -1.0, math.nan])
def test_without_freedom_there_is_none(freedom: float) -> None:
    assert math.isnan(t_quantile(freedom))
