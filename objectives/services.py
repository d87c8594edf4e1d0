"""What serves: the services of a study, and how each is started. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from objectives.plain_data.ranges import Range

DeviceKind = Literal["cpu", "cuda"]


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
    vocabulary: Annotated[int | None, Range(1, 1e7)] = None
    start_timeout_s: Annotated[float, Range(1, 1e7)] = 600.0


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
    beam_size: Annotated[int, Range(1, 10_000)] = 5
    language: str = "en"
    extra_mib: Annotated[int, Range(0, 1e7)] = 0
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    health_path: str = "/health"
    random_weights: tuple[str, ...] = ()
    fixed_output_tokens: Annotated[int, Range(4, 224)] = 20
    start_timeout_s: Annotated[float, Range(1, 1e7)] = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Both servers of a study."""

    llm: LlmService
    stt: SttService
