"""From an allocation to the command line of each server."""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from objectives.allocation import Allocation, Scalar

DeviceKind = Literal["cpu", "cuda"]
TRANSCRIBER = Path(__file__).with_name("transcriber.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmService:
    """The LLM server: vLLM by default, or any OpenAI-compatible server by a command template.

    python: interpreter that has vLLM; model: folder or hub id; args: more vLLM flags; env: more variables
    command: instead of vLLM, e.g. `llama-server -m model.gguf --port {port} -c {vllm_memory_util}`
    health_path, metrics_path: of that server; served_model: the name requests use
    vocabulary: token ids that prompts may use; None reads it from the model's config.json
    """

    python: str = sys.executable
    model: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    health_path: str = "/health"
    metrics_path: str = "/metrics"
    served_model: str = "model"
    vocabulary: int | None = None
    start_timeout_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SttService:
    """The speech server: ours on faster-whisper by default, or any OpenAI-compatible one by a template.

    models: folder or hub id of each size, e.g. `{tiny: .servers/models/whisper/tiny.en}`
    extra_mib: what else its process holds in production, MiB; allocated for real beside the model
    random_weights: sizes whose weights are random: they write `fixed_output_tokens`, word error rate not measured
    """

    python: str = sys.executable
    models: Mapping[str, str] = field(default_factory=dict)
    device: DeviceKind = "cuda"
    compute_type: str = "int8"
    beam_size: int = 5
    language: str = "en"
    extra_mib: int = 0
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    health_path: str = "/health"
    random_weights: tuple[str, ...] = ()
    fixed_output_tokens: int = 20
    start_timeout_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Both servers of a study."""

    llm: LlmService
    stt: SttService


@dataclass(frozen=True, slots=True)
class Command:
    """A server's command line without its port: `{port}` stands where the port will be.

    Two allocations with equal commands can share one running server.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    health_path: str
    start_timeout_s: float

    def with_port(self, port: int) -> list[str]:
        """The command line to run."""
        return [a.replace("{port}", str(port)) for a in self.argv]

    def __str__(self) -> str:
        return " ".join(a if re.fullmatch(r"[\w@%+=:,./{}-]+", a) else repr(a) for a in self.argv)


def llm_command(allocation: Allocation, service: LlmService, device_env: Mapping[str, str]) -> Command:
    """The LLM server's command; `vllm.<flag>` parameters become `--<flag>`."""
    env = {"HF_HUB_OFFLINE": "1", "VLLM_ENABLE_STARTUP_PLAN": "0", "VLLM_NO_USAGE_STATS": "1"}
    env |= dict(device_env) | dict(service.env)
    if service.command is not None:
        argv = _filled(service.command, allocation, {"model": service.model})
        return Command(argv, env, service.health_path, service.start_timeout_s)
    argv = (service.python, "-m", "vllm.entrypoints.openai.api_server")
    argv += ("--host", "127.0.0.1", "--port", "{port}")
    argv += ("--model", service.model, "--served-model-name", service.served_model)
    argv += ("--gpu-memory-utilization", f"{allocation.share:g}", *service.args)
    for name, value in allocation.options("vllm.").items():
        argv += _flag(name.replace("_", "-"), value)
    return Command(argv, env, service.health_path, service.start_timeout_s)


def stt_command(allocation: Allocation, service: SttService, device_env: Mapping[str, str]) -> Command:
    """The speech server's command; `whisper.<option>` parameters override the service's own."""
    env = {"HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"} | dict(device_env) | dict(service.env)
    model = service.models.get(allocation.speech, allocation.speech)
    if service.command is not None:
        argv = _filled(service.command, allocation, {"model": model})
        return Command(argv, env, service.health_path, service.start_timeout_s)
    options: dict[str, Scalar] = {
        "device": service.device,
        "compute_type": service.compute_type,
        "beam_size": service.beam_size,
        "language": service.language,
        "extra_mib": service.extra_mib,
    }
    if allocation.speech in service.random_weights:
        options |= {"fixed_output": True, "max_new_tokens": service.fixed_output_tokens}
    options |= allocation.options("whisper.")
    argv = (service.python, str(TRANSCRIBER), "--model", model, "--port", "{port}")
    for name, value in options.items():
        argv += _flag(name.replace("_", "-"), value)
    return Command(argv + service.args, env, service.health_path, service.start_timeout_s)


def _flag(name: str, value: Scalar) -> tuple[str, ...]:
    match value:
        case True:
            return (f"--{name}",)
        case False:
            return (f"--no-{name}",)
        case float():
            return (f"--{name}", f"{value:g}")
        case _:
            return (f"--{name}", str(value))


def placeholders(template: str) -> set[str]:
    """The names in braces of a command template.

    >>> sorted(placeholders("serve --port {port} -m {model}"))
    ['model', 'port']
    """
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def _filled(template: str, allocation: Allocation, more: Mapping[str, str]) -> tuple[str, ...]:
    """A template split into words first and filled after, so that no value becomes two words."""
    values = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in allocation.values.items()}
    values |= more
    words = template.split()
    for name, value in values.items():
        words = [w.replace("{" + name + "}", value) for w in words]
    return tuple(words)
