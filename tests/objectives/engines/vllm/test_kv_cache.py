"""What a server's page and log say of its KV cache is read where it is a number."""

from __future__ import annotations

import pytest

from objectives.engines.vllm.kv_cache import KvCache, kv_cache, usage

ODD = ["NaN", "+Inf", "-Inf", "-1", "x", "...", "1.2.3", "9" * 5000, "1e400"]


@pytest.mark.parametrize("number", ODD)
def test_what_is_no_number_is_not_told(number: str) -> None:
    page = f"vllm:kv_cache_usage_perc {number}\nvllm:num_preemptions_total {number}\n"
    assert usage(page) == (None, None)
    info = f'vllm:cache_config_info{{kv_cache_size_tokens="{number}"}} 1'
    assert kv_cache(info, "") == KvCache(None, None, None)


@pytest.mark.parametrize("number", [".", "1.2.3", "9" * 5000, ","])
def test_a_log_with_an_odd_number_does_not_tell(number: str) -> None:
    log = (
        f"KV cache size: {number} tokens\nAvailable KV cache memory: {number} GiB\n"
        f"Maximum concurrency for {number} tokens per request"
    )
    assert kv_cache("", log) == KvCache(None, None, None)


def test_labels_may_hold_braces_and_samples_a_time() -> None:
    page = 'vllm:kv_cache_usage_perc{model="a}b\\"",engine="0"} 0.5 1764370000000\n'
    assert usage(page) == (50.0, None)


def test_no_cache_is_fuller_than_full_and_none_is_empty() -> None:
    assert usage("vllm:kv_cache_usage_perc 5") == (None, None)
    assert kv_cache('vllm:cache_config_info{kv_cache_size_tokens="0"} 1', "").tokens is None
    huge = f'vllm:cache_config_info{{num_gpu_blocks="{10**14}",block_size="{10**14}"}} 1'
    assert kv_cache(huge, "").tokens is None


def test_a_line_without_end_is_no_sample() -> None:
    page = "vllm:kv_cache_usage_perc{" + 'a="b",' * 500_000 + "} 0.5\n"
    assert usage(page) == (None, None)
