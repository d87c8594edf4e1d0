"""An engine is a program that serves one service; this module says what a launch needs of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from objectives.allocation import Allocation, Scalar
from objectives.apis.api import ApiName, Endpoint
from objectives.engines.any_command import AnyCommand
from objectives.engines.command import Command
from objectives.engines.faster_whisper.stt import FasterWhisper
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
from objectives.fit.cell import Host
from objectives.services import (
    DeviceKind,
    LlmService,
    OtherService,
    Service,
    Services,
    SttService,
    hears,
)
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload

LLM_ENGINES: Mapping[str, type[LlmServer]] = {
    USUAL: Vllm,
    "llama_cpp": LlamaCpp,
    "ollama": Ollama,
    "sglang": SGLang,
}
# of a service beside the turn that is no LLM; without a name a template starts it
OTHER_ENGINES: Mapping[str, type[AnyCommand]] = {"": AnyCommand, "vllm": VllmBeside}
# of the speech that turns begin with; without a name ours serves it, or a template
SPEECH_ENGINES: Mapping[str, type[SpeechServer]] = {"": FasterWhisper, "vllm": VllmTranscription}
SpeechEngine = FasterWhisper
T = TypeVar("T")
SERVER_PACKAGES = (*Vllm.server_packages, *FasterWhisper.server_packages)


class Engine(Protocol):
    """An engine starts a server and knows when it is ready and what it tells of itself.

    Attributes:
        service: What it serves, and how it is started.
        name: The name of the service.
        has_share: Whether a share of the device's memory belongs to it; else it takes what it
            needs.
        has_kv_cache: Whether it may tell of a KV cache.
        api: How it is spoken to.
        symptoms: By which API's symptoms its failures are named.
        prefix: The beginning of the names of its parameters, e.g. `vllm.`.
        version_command: The command that prints its version; none where its packages tell it.
        share_option: The option that is its share of a device, where that is its own.
        context_option: The option that is the longest prompt with its answer; empty: none is.
        words_key: The key of an entry in which its options stand that are fixed.
        own_wakers: How it wakes by itself in production.
        idle_beside: By option the other one, and its value, beside which it does nothing.
        of_its_set: The options that spread it over the devices of its place.
        own_variables: Those of a shell that a live study must look at.
        packages: The packages whose versions matter.
        server_packages: Those of them that are the server itself, the one that tells its own
            version first.
        stack_flags: The flags of its command by which the stack of a unit in production is
            compared with it, by their names there; empty where none is compared.
        quiet_death: Why a unit that is restarted only on failure would stay dead; empty where it
            would not.
        options_of_ours: The options of a server of ours, without the prefix; empty where any may
            be an option of it.
        compiling: What its log says only where a start compiled, and so had another KV cache than
            later ones have; empty where none does.
    """

    @property
    def service(self) -> Service: ...

    @property
    def name(self) -> str: ...

    @property
    def has_share(self) -> bool: ...

    @property
    def has_kv_cache(self) -> bool: ...

    @property
    def api(self) -> ApiName: ...

    @property
    def symptoms(self) -> str: ...

    @property
    def prefix(self) -> str: ...

    @property
    def version_command(self) -> tuple[str, ...]: ...

    @property
    def share_option(self) -> str: ...

    @property
    def context_option(self) -> str: ...

    @property
    def words_key(self) -> str: ...

    @property
    def own_wakers(self) -> tuple[str, ...]: ...

    @property
    def idle_beside(self) -> Mapping[str, tuple[str, Scalar]]: ...

    @property
    def of_its_set(self) -> tuple[str, ...]: ...

    @property
    def own_variables(self) -> tuple[str, ...]: ...

    @property
    def packages(self) -> tuple[str, ...]: ...

    @property
    def server_packages(self) -> tuple[str, ...]: ...

    @property
    def stack_flags(self) -> Mapping[str, str]: ...

    @property
    def quiet_death(self) -> str: ...

    @property
    def options_of_ours(self) -> tuple[str, ...]: ...

    @property
    def compiling(self) -> str: ...

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data.

        A model counts by the name of its folder, with flags and precision; where things are
        installed does not count. Its place is told beside.
        """

    def with_folders(self, folder_of: Callable[[str], str]) -> Service:
        """Return the service with the folder of each model that is a hub id."""

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""

    def sets_itself(self, word: str) -> bool:
        """Return whether the study sets what this word of `args` does."""

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return what `args` must say and does not, and the way out; None where nothing is."""

    def share_in_args(self) -> str | None:
        """Return what `args` say of its share, as it is written; None where they say nothing."""

    def asked_mib(self, allocation: Allocation, total_mib: float) -> float | None:
        """Return what it asks for as a share of its own, MiB; None where it takes what it needs."""

    def held_mib(self, allocation: Allocation, host: Host) -> float | None:
        """Return that with what its processes take beyond it, MiB."""

    def overriding(self, word: str) -> tuple[str, str] | None:
        """Return the flag that a word is, and why it overrides a searched memory, or None."""

    def overriding_variable(self, name: str, value: str) -> str | None:
        """Return why a variable of the environment does so; None where it does not."""

    def useless_on(self, kind: DeviceKind, option: str) -> str | None:
        """Return in a sentence why an option does nothing on a device; None where it may."""

    def disagreement(self, values: Mapping[str, Sequence[Scalar]]) -> tuple[str, str, str] | None:
        """Return which option it would refuse or cut, why, and the way out; None where none."""

    def spread_by(self, values: Mapping[str, Sequence[Scalar]]) -> list[tuple[str, int]]:
        """Return each option that says over how many devices it is spread, with the number."""

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the tokens of prompt and answer that it takes; None where nothing says."""

    def may_change_answers(self, option: str) -> bool:
        """Return whether an option may change answers that nobody judges.

        Args:
            option: Its name without the prefix, with underscores.
        """

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence what is not installed; None where all is.

        Args:
            versions: What of its `packages` is installed, by name.
        """

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why these versions do not run on a driver; None where they do."""

    def unable(self, compute: float, precision: str) -> str | None:
        """Return in a sentence what it cannot do on a card; None where it can.

        Args:
            compute: The compute capability of the card, e.g. 8.6.
            precision: The number format that a place names; empty for the usual one.
        """

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the command that serves this allocation on a device."""

    def memory_key(self, allocation: Allocation) -> str | None:
        """Return as text what of its command the memory of a start depends on, but for a share.

        Starts with equal keys stand for each other. It is None where none does.
        """

    def settings(self, allocation: Allocation) -> str:
        """Return what to set where it runs already, so that it serves this allocation."""

    def is_random(self, allocation: Allocation) -> bool:
        """Return whether its model has random weights, so that nobody judges its answers."""

    def is_ready(self, url: str, within_s: float, clip: Clip) -> bool:
        """Return whether it is healthy and has answered one real request, all within this time."""

    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return what it tells of itself once it is ready, by name without the service."""

    def bounds(
        self, figures: Mapping[str, Any], workload: Workload, allocation: Allocation
    ) -> dict[str, Any]:
        """Return what its figures bound under a workload, by flat name."""

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""


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
    return _kind(SPEECH_ENGINES, service.engine, name)(service, name)


def engines_beside(api: str) -> tuple[str, ...]:
    """Return the names of the engines that can serve an API beside the turn.

    >>> engines_beside("rerank"), "llama_cpp" in engines_beside("chat")
    (('vllm',), True)
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


def apis_of(services: Services) -> dict[str, ApiName]:
    """Return the API of each service, in the order of a voice turn."""
    return {engine.name: engine.api for engine in engines_of(services)}


def commands_of(
    services: Services, allocation: Allocation, device_env: Mapping[str, str]
) -> dict[str, Command]:
    """Return the commands of an allocation by service, in the order in which people read them."""
    return {e.name: e.command(allocation, device_env) for e in in_order(services)}
