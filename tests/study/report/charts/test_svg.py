"""The axes of a chart end at round numbers."""

from __future__ import annotations

import pytest

from study.report.charts.svg import ticks


@pytest.mark.parametrize(
    ("most", "last"), [(0.0, 1.0), (0.5, 0.6), (1.0, 1.0), (900.0, 1000.0), (45_480.0, 60_000.0)]
)
def test_an_axis_ends_at_a_round_number_at_or_above_its_largest_value(
    most: float, last: float
) -> None:
    assert ticks(most)[-1] == pytest.approx(last)
    assert len(ticks(most)) <= 8
