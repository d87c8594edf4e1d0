"""The services of a study say which servers run, and how each is started. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from objectives.plain_data.ranges import Range

DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmService:
    """The LLM server is vLLM, or any OpenAI-compatible server by a command template.

    Args:
        python: The interpreter that has vLLM.
        model: The model's folder, or its id on the hub.
        args: More flags for vLLM.
        env: More environment variables for the server.
        command: A template in place of vLLM, e.g.
            `llama-server -m model.gguf --port {port} -c {vllm_memory_util}`.
        health_path: The path that answers 200 once the server is ready.
        metrics_path: The path of the server's Prometheus page.
        served_model: The model's name in requests.
        vocabulary: The number of token ids that prompts may use; None reads it from the
            model's config.json.
        start_timeout_s: The time the server has to become ready, seconds.
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
    """The speech server is ours on faster-whisper, or any OpenAI-compatible one by a template.

    Args:
        python: The interpreter that has faster-whisper.
        models: The folder or hub id of each size, e.g. `{tiny: .servers/models/whisper/tiny.en}`.
        device: The device that our server runs on.
        compute_type: CTranslate2's number format, e.g. `float16`, or `int8` on a CPU.
        beam_size: The number of beams in decoding.
        language: The language of the speech, by its code.
        extra_mib: The memory that the process holds in production beside the model, MiB; it is
            really allocated.
        args: More flags for our server.
        env: More environment variables for the server.
        command: A template in place of our server.
        health_path: The path that answers 200 once the server is ready.
        random_weights: The sizes whose weights are random: each answer has
            `fixed_output_tokens`, and no word error rate is measured.
        fixed_output_tokens: The number of tokens of such an answer.
        start_timeout_s: The time the server has to become ready, seconds.
    """

    python: str = sys.executable
    models: Mapping[str, str] = field(default_factory=dict)
    device: DeviceKind = "cuda"
    compute_type: str = "float16"
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


Service = LlmService | SttService
Services = Mapping[str, Service]  # by name, in the order in which people read them
