"""The registry finds the engine that serves a service, by the name that its entry gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from objectives.allocation import SPEECH, Allocation
from objectives.engines.any_command import AnyCommand
from objectives.engines.command import Command
from objectives.engines.engine import Engine
from objectives.engines.faster_whisper.stt import FasterWhisper
from objectives.engines.llama_cpp.beside import LlamaCppBeside
from objectives.engines.llama_cpp.llm import LlamaCpp
from objectives.engines.llm_server import USUAL, LlmServer
from objectives.engines.ollama.llm import Ollama
from objectives.engines.sglang import SGLang
from objectives.engines.speech_server import SpeechServer
from objectives.engines.vllm.beside import VllmBeside
from objectives.engines.vllm.llm import Vllm
from objectives.engines.vllm.transcription import VllmTranscription
from objectives.errors import SetupError
from objectives.figures import STREAMED
from objectives.services import (
    ApiName,
    LlmService,
    OtherService,
    Service,
    Services,
    SttService,
    hears,
)

LLM_ENGINES: Mapping[str, type[LlmServer]] = {
    USUAL: Vllm,
    "llama_cpp": LlamaCpp,
    "ollama": Ollama,
    "sglang": SGLang,
}
# of a service beside the turn that is no LLM; without a name a template starts it
OTHER_ENGINES: Mapping[str, type[AnyCommand]] = {
    "": AnyCommand,
    "vllm": VllmBeside,
    "llama_cpp": LlamaCppBeside,
}
USUAL_SPEECH = "faster_whisper"  # without a name ours serves the speech of turns, or a template
SPEECH_ENGINES: Mapping[str, type[SpeechServer]] = {
    USUAL_SPEECH: FasterWhisper,
    "vllm": VllmTranscription,
}
SpeechEngine = FasterWhisper
T = TypeVar("T")
S = TypeVar("S", SttService, OtherService)
SERVER_PACKAGES = (*Vllm.server_packages, *FasterWhisper.server_packages)


def engine_of(name: str, service: Service) -> Engine:
    """Return the engine that serves a service.

    Raises:
        SetupError: This version knows no engine of that name.
    """
    match service:
        case LlmService():
            return llm_engine(service, name)
        case SttService():
            return speech_engine(service, name)
        case OtherService():
            return other_engine(service, name)


def llm_engine(service: LlmService | OtherService, name: str = "llm") -> LlmServer:
    """Return the engine that serves an LLM: that of turns, or one beside it.

    Raises:
        SetupError: This version knows no engine of that name.
    """
    return _kind(LLM_ENGINES, service.engine or USUAL, name)(service, name)


def speech_engine(service: SttService, name: str = "stt") -> SpeechServer:
    """Return the engine that serves speech.

    Raises:
        SetupError: This version knows no engine of that name.
    """
    return _kind(SPEECH_ENGINES, service.engine or USUAL_SPEECH, name)(service, name)


def as_unnamed(service: S) -> S:
    """Return a service that transcribes without the name of the engine that no name means."""
    is_usual = hears(service) and service.engine == USUAL_SPEECH
    return replace(service, engine="") if is_usual else service


def engines_beside(api: str) -> tuple[str, ...]:
    """Return the names of the engines that can serve an API beside the turn.

    >>> engines_beside("rerank"), "llama_cpp" in engines_beside("chat")
    (('vllm', 'llama_cpp'), True)
    """
    if api in STREAMED:
        return tuple(LLM_ENGINES)
    return tuple(name for name, kind in OTHER_ENGINES.items() if name and api in kind.apis)


def other_engine(service: OtherService, name: str) -> AnyCommand | LlmServer:
    """Return the engine that serves a service beside the turn.

    Raises:
        SetupError: This version knows no engine of that name.
    """
    if service.api in STREAMED:
        return llm_engine(service, name)
    return _kind(OTHER_ENGINES, service.engine, name)(service, name)


def _kind(kinds: Mapping[str, type[T]], engine: str, name: str) -> type[T]:
    """Return the class of an engine by its name.

    Raises:
        SetupError: This version knows none; it names those that serve such a service.
    """
    if (kind := kinds.get(engine)) is None:
        known = ", ".join(filter(None, kinds))
        raise SetupError(f"services.{name}.engine: {engine!r} is none of {known}")
    return kind


def sharing(services: Services) -> LlmServer | None:
    """Return the engine to which a share of the memory belongs; None where none has one."""
    llms = (llm_engine(s, n) for n, s in services.items() if isinstance(s, LlmService))
    return next((engine for engine in llms if engine.has_share), None)


def llm_of_turns(services: Services) -> LlmServer | None:
    """Return the engine of the LLM that answers turns; None where there is none."""
    llms = (llm_engine(s, n) for n, s in services.items() if isinstance(s, LlmService))
    return next(llms, None)


def in_order(services: Services) -> tuple[Engine, ...]:
    """Return the engines of a study, in the order in which people read the services."""
    return tuple(engine_of(name, service) for name, service in services.items())


def engines_of(services: Services) -> tuple[Engine, ...]:
    """Return the engines of a study, in the order of their start, which is that of a voice turn.

    What takes the memory it needs is started before what asks for a share of it, and whoever
    answers a turn comes after what hears it.
    """
    of_turn = {name for name, s in services.items() if isinstance(s, LlmService)}
    return tuple(sorted(in_order(services), key=lambda e: (e.has_share, e.name in of_turn)))


def hearers(services: Services) -> list[str]:
    """Return the names of the services that transcribe."""
    return [name for name, service in services.items() if hears(service)]


def hears_alike(services: Services, one: Allocation, other: Allocation) -> bool:
    """Return whether every service that transcribes is configured alike by two allocations."""
    return all(one.words_key(name) == other.words_key(name) for name in hearers(services))


def changes_words(services: Services, parameter: str) -> bool:
    """Return whether the words of a service that transcribes depend on a parameter."""
    one, other = (Allocation({SPEECH: "", parameter: value}) for value in ("one", "other"))
    return not hears_alike(services, one, other)


def apis_of(services: Services) -> dict[str, ApiName]:
    """Return the API of each service, in the order of a voice turn."""
    return {engine.name: engine.api for engine in engines_of(services)}


def commands_of(
    services: Services, allocation: Allocation, device_env: Mapping[str, str]
) -> dict[str, Command]:
    """Return the commands of an allocation by service, in the order in which people read them."""
    return {e.name: e.command(allocation, device_env) for e in in_order(services)}
