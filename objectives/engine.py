"""What an LLM server tells about its KV cache and its preemptions, from /metrics and its log. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.load.workload import Workload


@dataclass(frozen=True, slots=True)
class KvCache:
    """Its size in tokens and MiB, and the longest request it is meant for; None where the server does not tell."""

    tokens: int | None
    mib: float | None
    max_model_len: int | None


def kv_cache(metrics: str, log: str) -> KvCache:
    """The labels of `vllm:cache_config_info` first, then blocks x block size, then the log.

    >>> kv_cache('vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1', "").tokens
    1600
    """
    info = re.search(r"^vllm:cache_config_info\{(.*)\} 1", metrics, re.MULTILINE)
    labels = dict(re.findall(r'(\w+)="([^"]*)"', info[1])) if info else {}
    tokens = _whole(labels.get("kv_cache_size_tokens"))
    blocks, block = _whole(labels.get("num_gpu_blocks")), _whole(labels.get("block_size"))
    if tokens is None and blocks and block:
        tokens = blocks * block
    if tokens is None and (said := re.search(r"KV cache size: ([\d,]+) tokens", log)):
        tokens = int(said[1].replace(",", ""))
    mib = None
    if said := re.search(r"(?:Available KV cache memory: |Auto set \()([\d.]+)", log):
        mib = float(said[1]) * 1024
    longest = re.search(r"Maximum concurrency for ([\d,]+) tokens per request", log)
    return KvCache(tokens, mib, int(longest[1].replace(",", "")) if longest else None)


def kv_capacity_bound(
    tokens: int | None, workload: Workload, allocation: Allocation, args: tuple[str, ...]
) -> int | None:
    """How many of the workload's longest requests the KV cache holds, capped by max_num_seqs: a bound, no capacity."""
    if tokens is None:
        return None
    bound = tokens // (workload.prompt_tokens[1] + workload.output_tokens)
    limit = allocation.options("vllm.").get("max_num_seqs")
    if limit is None and "--max-num-seqs" in args[:-1]:
        limit = args[args.index("--max-num-seqs") + 1]
    return bound if limit is None else min(bound, int(limit))


def usage(metrics: str) -> tuple[float | None, int | None]:
    """KV cache usage in percent and preemptions so far; None where the server does not tell.

    >>> usage('vllm:kv_cache_usage_perc{engine="0"} 0.25')
    (25.0, None)
    """
    used, preempted = _sample(metrics, "vllm:kv_cache_usage_perc"), _sample(metrics, "vllm:num_preemptions_total")
    return None if used is None else used * 100.0, None if preempted is None else int(preempted)


def _sample(metrics: str, name: str) -> float | None:
    found = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else None


def _whole(text: str | None) -> int | None:
    return int(float(text)) if text and re.fullmatch(r"[\d.]+", text) else None
