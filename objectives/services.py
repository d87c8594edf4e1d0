"""The services of a study say which servers run, and how each is started. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from objectives.plain_data.ranges import Range

DeviceKind = Literal["cpu", "cuda"]
Waker = Literal["front", "llama_swap", "socket_activation"]
LlmWaker = Literal[Waker, "keep_alive"]
LlmApi = Literal["completions", "chat"]
ApiName = Literal[LlmApi, "embeddings", "rerank", "speech", "transcription"]
# a CPU has no float16; on a GPU int8 is slower, and broken on some
COMPUTE_TYPES: Mapping[DeviceKind, str] = {"cpu": "int8", "cuda": "float16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmService:
    """The LLM server is that of an engine, or any OpenAI-compatible one by a command template.

    Args:
        api: How it is spoken to: OpenAI's completions, or its chat where a server has nothing else.
        engine: The program that serves it; empty is the usual one.
        python: The interpreter that has the engine, where that is a package.
        program: The file of the engine, or its name on the PATH, where it is none; empty is the
            engine's usual name.
        model: The model's folder or its id on the hub, or its file, as the engine takes it.
        args: More flags for the engine.
        env: More environment variables for the server.
        command: A template in place of the engine's command, e.g.
            `llama-server -m model.gguf --port {port} -c {vllm_memory_util}`.
        health_path: The path that answers 200 once the server is ready.
        metrics_path: The path of the server's Prometheus page.
        served_model: The model's name in requests.
        vocabulary: The number of token ids that prompts may use; None reads it from the
            model's config.json.
        start_timeout_s: The time the server has to become ready, seconds.
        place: The name of its device, or those of a set as in `gpu0+gpu1`; None where there is one.
        resident: Whether it runs all the time; else it is started with the first request, whose
            answer waits for that.
        idle_s: The time without a request after which one that is not resident is stopped, seconds.
        woken_by: What starts it in production where it is not resident; `keep_alive` is the way of
            an engine that unloads its model by itself.
        sleep_mode: Whether its process stays while it sleeps, with its weights in the host's
            memory; only of an engine that can.
    """

    api: LlmApi = "completions"
    engine: str = ""
    python: str = sys.executable
    program: str = ""
    model: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    command: str | None = None
    health_path: str = "/health"
    metrics_path: str = "/metrics"
    served_model: str = "model"
    vocabulary: Annotated[int | None, Range(1, 1e7)] = None
    start_timeout_s: Annotated[float, Range(1, 1e7)] = 600.0
    place: str | None = None
    resident: bool = True
    idle_s: Annotated[float, Range(1, 1e6)] = 60.0
    woken_by: LlmWaker | None = None
    sleep_mode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SttService:
    """The speech server is that of an engine, or any OpenAI-compatible one by a template.

    Args:
        api: How it is spoken to: OpenAI's transcription.
        engine: The program that serves it; empty is ours on faster-whisper.
        python: The interpreter that has the engine.
        models: The folder or hub id of each size, e.g. `{tiny: .servers/models/whisper/tiny.en}`.
        device: The device that our server runs on.
        compute_type: CTranslate2's number format, e.g. `float16`, or `int8` on a CPU.
        beam_size: The number of beams in decoding.
        language: The language of the speech, by its code.
        extra_mib: The memory that the process holds in production beside the model, MiB; it is
            really allocated.
        args: More flags for the engine.
        env: More environment variables for the server.
        command: A template in place of the engine's command.
        health_path: The path that answers 200 once the server is ready.
        random_weights: The sizes whose weights are random: each answer has
            `fixed_output_tokens`, and no word error rate is measured.
        fixed_output_tokens: The number of tokens of such an answer.
        start_timeout_s: The time the server has to become ready, seconds.
        place: Its device and compute type, e.g. `gpu1/int8`; None where there is one device.
        resident: Whether it runs all the time; else it is started with the first turn, whose answer
            waits for that.
        idle_s: The time without a request after which one that is not resident is stopped, seconds.
        woken_by: What starts it in production where it is not resident.
    """

    api: Literal["transcription"] = "transcription"
    engine: str = ""
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
    place: str | None = None
    resident: bool = True
    idle_s: Annotated[float, Range(1, 1e6)] = 60.0
    woken_by: Waker | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherService:
    """Another service beside them is asked outside turns; an engine or a template starts it.

    It takes what memory it needs.

    Args:
        api: How it is spoken to: OpenAI's completions or chat of another LLM, its embeddings,
            reranking as Jina and vLLM have it, or OpenAI's speech synthesis or transcription.
        engine: The program that serves it; empty where a template starts it.
        python: The interpreter that has the engine, where that is a package.
        program: The file of the engine, or its name on the PATH, where it is no package; empty is
            the engine's usual name.
        model: The model's folder or its id on the hub, or its file, as the engine takes it.
        args: More flags for the engine.
        command: The template of its command; `{port}` stands where its port will be, and `{NAME.X}`
            where the value of its option X goes, e.g.
            `infinity_emb v2 --model-id minilm --port {port} --batch-size {embed.batch_size}`.
        per_s: The mean arrival rate of its requests, requests per second.
        burst: The number of its requests that arrive together; their mean rate stays.
        texts: The number of texts in a request.
        tokens: The shortest and the longest text, or prompt of an LLM, tokens, about as many words.
        output_tokens: The tokens of every answer of an LLM.
        language: The language of clips that name none, by its code; None leaves it to the server.
        env: More environment variables for the server.
        health_path: The path that answers 200 once the server is ready.
        metrics_path: The path of an LLM server's Prometheus page.
        served_model: The model's name in requests.
        vocabulary: The number of token ids that prompts of completions may use; None reads it from
            the model's files.
        start_timeout_s: The time the server has to become ready, seconds.
        memory_mib: What it holds of its device under load, as far as anybody knows before a launch,
            MiB; only the arithmetic by files reads it.
        place: The name of its device; None where there is one.
        resident: Whether it runs all the time; else it is started when it is asked, and its first
            answer waits for that.
        idle_s: The time without a request after which one that is not resident is stopped, seconds.
        woken_by: What starts it in production where it is not resident: the front of this project,
            or a server that does the same; `keep_alive` is the way of an engine that unloads its
            model by itself.
        sleep_mode: Whether its process stays while it sleeps, with its weights in the host's
            memory, as its engine can.
    """

    api: ApiName
    engine: str = ""
    python: str = sys.executable
    program: str = ""
    model: str = ""
    args: tuple[str, ...] = ()
    command: str | None = None
    per_s: Annotated[float, Range(0, 1000)] = 1.0
    burst: Annotated[int, Range(1, 10_000)] = 1
    texts: Annotated[int, Range(1, 1000)] = 1
    tokens: Annotated[tuple[int, int], Range(1, 1e5)] = (16, 64)
    output_tokens: Annotated[int, Range(1, 1e5)] = 64
    language: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    health_path: str = "/health"
    metrics_path: str = "/metrics"
    served_model: str = "model"
    vocabulary: Annotated[int | None, Range(1, 1e7)] = None
    start_timeout_s: Annotated[float, Range(1, 1e7)] = 120.0
    memory_mib: Annotated[float | None, Range(0, 1e7)] = None
    place: str | None = None
    resident: bool = True
    idle_s: Annotated[float, Range(1, 1e6)] = 60.0
    woken_by: LlmWaker | None = None
    sleep_mode: bool = False


Service = LlmService | SttService | OtherService
Services = Mapping[str, Service]  # by name, in the order in which people read them


def hears(service: Service) -> bool:
    """Return whether a service transcribes."""
    return isinstance(service, SttService) or (
        isinstance(service, OtherService) and service.api == "transcription"
    )
