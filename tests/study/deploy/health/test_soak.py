"""A soak judges like with like."""

from __future__ import annotations

import pytest

from study.deploy.config.deployment import Thresholds
from study.deploy.health.soak import WindowFigures, judge_window

LIMITS = Thresholds(min_requests=10, p95_ratio=1.3, p95_slack_ms=50, failure_rate_points=1.0)
GOOD = {"llm": WindowFigures(20, 0, 1000.0, 100, 2000.0), "stt": WindowFigures(20, 0, 200.0)}


@pytest.mark.parametrize(
    ("llm", "complaint"),
    [
        (WindowFigures(20, 0, 1349.0, 100, 2600.0), None),
        (WindowFigures(20, 0, 1351.0, 100, 2000.0), "llm: p95 1,351 ms, at most 1,350"),
        (WindowFigures(20, 1, 900.0, 100, 2000.0), "llm: 1 of 20 probes failed"),
        (WindowFigures(20, 20, None), "llm: 20 of 20 probes failed"),
        (WindowFigures(20, 0, 900.0, 100, 2700.0), "llm: p95 of its own traffic 2,700 ms"),
        (WindowFigures(20, 0, 900.0, 9, 99_000.0), None),
        (WindowFigures(0, 0, None, 0, None), None),
    ],
)
def test_a_window_is_judged_like_with_like(llm: WindowFigures, complaint: str | None) -> None:
    complaints, unknown = judge_window({"llm": llm, "stt": GOOD["stt"]}, GOOD, LIMITS)
    assert [c[: len(complaint or "")] for c in complaints] == ([complaint] if complaint else [])
    assert ("llm: too little traffic of its own" in unknown) == (llm.requests < 10)
