"""This module reads vLLM's account of its KV cache, from its Prometheus page and its log. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from objectives.apis.metrics_page import CachePage, amount, samples, whole


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
    configs = (labels for labels, value in samples(metrics, "vllm:cache_config_info") if value == 1)
    labels = next(configs, {})
    tokens = whole(labels.get("kv_cache_size_tokens"))
    blocks, block = whole(labels.get("num_gpu_blocks")), whole(labels.get("block_size"))
    if tokens is None and blocks and block:
        tokens = whole(str(blocks * block))
    if tokens is None and (size := re.search(r"KV cache size: ([\d,]+) tokens", log)):
        tokens = whole(size[1])
    # one line a worker, where it is spread over several devices: the least bounds all
    sizes = map(amount, re.findall(r"(?:Available KV cache memory: |Auto set \()([\d.]+)", log))
    gib = min((size for size in sizes if size is not None), default=None)
    longest = re.search(r"Maximum concurrency for ([\d,]+) tokens per request", log)
    mib = None if gib is None else gib * 1024
    return KvCache(tokens, mib, whole(longest[1]) if longest else None)


def usage(metrics: str) -> tuple[float | None, int | None]:
    """Return KV cache usage in percent and preemptions so far; None where the page lacks them.

    >>> usage('vllm:kv_cache_usage_perc{engine="0"} 0.25')
    (25.0, None)
    """
    share = _first(metrics, "vllm:kv_cache_usage_perc")
    preemptions = _first(metrics, "vllm:num_preemptions_total")
    usage_pct = None if share is None or share > 1 else share * 100.0
    return usage_pct, None if preemptions is None else int(preemptions)


def cache_on(metrics: str) -> CachePage:
    """Return what a Prometheus page tells of the KV cache.

    >>> cache_on("vllm:num_requests_waiting 2")
    CachePage(tokens=None, used_pct=None, preemptions=None, waiting=2.0)
    """
    queues = [value for _, value in samples(metrics, "vllm:num_requests_waiting")]
    return CachePage(kv_cache(metrics, "").tokens, *usage(metrics), max(queues, default=None))


def _first(metrics: str, name: str) -> float | None:
    return next((value for _, value in samples(metrics, name)), None)
