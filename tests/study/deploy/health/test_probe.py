"""Counters are read as far as a page has any."""

from __future__ import annotations

import pytest
from fake_servers.odd_servers import listening, saying

from study.deploy.config.deployed import Deployed, Probe
from study.deploy.health.probe import read_counters, send_probe

CHAT = b'{"choices": [{"message": {"role": "assistant", "content": "%s"}}]}'
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


@pytest.mark.parametrize(
    ("body", "is_answered"),
    [(CHAT % b"yes", True), (CHAT % b" ", False), (b'{"choices": []}', False), (b"[]", False)],
)
def test_a_chat_is_answered_or_it_is_not(body: bytes, is_answered: bool) -> None:
    with listening({"chat": saying(body)}) as urls:
        result = send_probe(Probe(kind="chat", url=f"{urls['chat']}/v1/chat/completions"))
    assert result is not None and (result.error is None) is is_answered
