"""Counters are read as far as a page has any."""

from __future__ import annotations

import pytest
from odd_servers import listening, saying

from study.deploy.config.deployed import Deployed
from study.deploy.health.probe import read_counters

NAME = "vllm:e2e_request_latency_seconds_bucket"
ODD = ["NaN", "-1", "x", "1e400", "9" * 400, "--"]


@pytest.mark.parametrize("odd", ODD)
def test_a_bucket_that_cannot_be_is_not_counted(odd: str) -> None:
    lines = [f'{NAME}{{le="{odd}"}} 5', f'{NAME}{{le="0.5"}} {odd}']
    lines += [f'{NAME}{{le="1.0"}} 90', f'{NAME}{{le="+Inf"}} 100', f"{NAME} {odd}"]
    with listening({"llm": saying("\n".join(lines).encode())}) as urls:
        counters = read_counters(Deployed(set={}, metrics_url=f"{urls['llm']}/metrics"))
    assert counters is not None
    assert counters.buckets == ((1.0, 90.0), (float("inf"), 100.0))
    assert (counters.requests, counters.p95_ms) == (100, 1000.0)
