"""A chart of latency is drawn of any service; its axes end at round numbers."""

from __future__ import annotations

import pytest

from study.analysis.category import Category
from study.report.charts.data import Spot
from study.report.charts.svg import latency_chart, ticks


@pytest.mark.parametrize(
    ("most", "last"), [(0.0, 1.0), (0.5, 0.6), (1.0, 1.0), (900.0, 1000.0), (45_480.0, 60_000.0)]
)
def test_an_axis_ends_at_a_round_number_at_or_above_its_largest_value(
    most: float, last: float
) -> None:
    assert ticks(most)[-1] == pytest.approx(last)
    assert len(ticks(most)) <= 8


def test_the_latency_of_a_third_service_is_drawn_under_its_own_name() -> None:
    p95_ms = {"stt": 80.0, "llm": 900.0, "embed": 120.0}
    spot = Spot("50 % + base", Category.WORKS, True, 4.0, False, p95_ms)
    chart = latency_chart([spot], "embed", 200.0)
    assert "<title>embed: 95 % answered within, against capacity</title>" in chart
    assert "50 % + base (works): 120 ms, 4.00 turns/s" in chart
    assert "limit of a turn 200 ms" in chart
