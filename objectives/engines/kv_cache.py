"""This module reads vLLM's account of its KV cache, from its Prometheus page and its log. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST = 1e15  # of any count or share


@dataclass(frozen=True, slots=True)
class KvCache:
    """A KV cache has a size and a longest request; each is None where the server does not tell.

    Args:
        tokens: Its size in tokens.
        mib: Its size in MiB.
        max_model_len: The longest request that it is meant for, tokens.
    """

    tokens: int | None
    mib: float | None
    max_model_len: int | None


def kv_cache(metrics: str, log: str) -> KvCache:
    """Read the KV cache from a Prometheus page and a log.

    The labels of `vllm:cache_config_info` come first, then blocks x block size, then the log.

    >>> kv_cache('vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1', "").tokens
    1600
    """
    info = re.search(r"^vllm:cache_config_info\{(.*)\} 1", metrics, re.MULTILINE)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', info[1])) if info else {}
    tokens = _whole(labels.get("kv_cache_size_tokens"))
    blocks, block = _whole(labels.get("num_gpu_blocks")), _whole(labels.get("block_size"))
    if tokens is None and blocks and block:
        tokens = blocks * block
    if tokens is None and (size := re.search(r"KV cache size: ([\d,]+) tokens", log)):
        tokens = _whole(size[1])
    memory = re.search(r"(?:Available KV cache memory: |Auto set \()([\d.]+)", log)
    gib = _number(memory[1]) if memory else None
    longest = re.search(r"Maximum concurrency for ([\d,]+) tokens per request", log)
    mib = None if gib is None else gib * 1024
    return KvCache(tokens, mib, _whole(longest[1]) if longest else None)


def usage(metrics: str) -> tuple[float | None, int | None]:
    """Return KV cache usage in percent and preemptions so far; None where the page lacks them.

    >>> usage('vllm:kv_cache_usage_perc{engine="0"} 0.25')
    (25.0, None)
    """
    share = _sample(metrics, "vllm:kv_cache_usage_perc")
    preemptions = _sample(metrics, "vllm:num_preemptions_total")
    usage_pct = None if share is None else share * 100.0
    return usage_pct, None if preemptions is None else int(preemptions)


def _sample(metrics: str, name: str) -> float | None:
    line = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE)
    return _number(line[1]) if line else None


def _whole(text: str | None) -> int | None:
    number = _number(text)
    return None if number is None else int(number)


def _number(text: str | None) -> float | None:
    """Return a number from 0; None for what no count or share can be, however it is written."""
    try:
        number = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return number if 0 <= number < MOST else None
