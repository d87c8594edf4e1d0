"""The engine vLLM, where it transcribes: it serves one Whisper in a share of the device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from objectives.allocation import SPEECH, Allocation
from objectives.apis.api import Endpoint
from objectives.apis.transcription import MODEL, Transcriptions
from objectives.engines.command import Command, command_of, flags
from objectives.engines.speech_server import SpeechServer
from objectives.engines.vllm.common import OURS, OWN_ENV, SERVER, VllmServer, cache_figures
from objectives.engines.vllm.kv_cache import usage
from objectives.engines.vllm.requirements import (
    PACKAGES,
    READS_SOUND,
)
from objectives.fit.beside_memory import SHARE_SLACK_MIB
from objectives.fit.cell import Host, SpeechMemory
from objectives.model_files.whisper import HUB
from objectives.on_demand.resident import with_waker

PAGE = "/metrics"
# of its other processes on a CPU, outside its share: 1,125 in one start of 0.32 with `base`
FRONT_ENDS_MIB = 1125.0
SET_BY_STUDY = {"model": f"use {SPEECH}"} | dict.fromkeys(
    ("served_model_name", "runner", "task"), OURS
)


@dataclass(frozen=True, slots=True)
class VllmTranscription(VllmServer, SpeechServer):
    """This engine is vLLM with a Whisper: weights and KV cache lie in its share of the device.

    The share is one of the whole device, beside which that of an LLM is another.
    """

    has_kv_cache: ClassVar[bool] = True
    hub: ClassVar[Mapping[str, str]] = {
        size: f"openai/whisper-{'large-v3-turbo' if size == 'turbo' else size}"
        for size in HUB
        if not size.startswith("distil")
    }
    set_by_us: ClassVar[Mapping[str, str]] = {**VllmServer.set_by_us, **SET_BY_STUDY}
    packages: ClassVar[tuple[str, ...]] = (*PACKAGES, READS_SOUND)
    title: ClassVar[str] = "vLLM"
    beyond_mib: ClassVar[float] = FRONT_ENDS_MIB

    def own_conditions(self) -> dict[str, Any]:
        """Return what of its own keys changes figures, as plain data."""
        return {"engine": self.service.engine, "language": self.service.language}

    def memory(self, allocation: Allocation, parameters: int | None, host: Host) -> SpeechMemory:  # noqa: ARG002
        """Return its share of a device, with its processes beyond it."""
        held_mib = self.held_mib(allocation, host)
        if held_mib is None:
            why = f"nothing says the share of {self.name}, or a flag overrides it"
            return SpeechMemory(None, why)
        return SpeechMemory(held_mib, slack_mib=SHARE_SLACK_MIB)

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `NAME.<flag>` parameters become `--<flag>`."""
        service, model = self.service, self.model(allocation)
        argv: tuple[str, ...] = (service.python, *SERVER, "--model", model)
        argv += ("--served-model-name", MODEL, *service.args, *flags(self.options(allocation)))
        return command_of(service, argv, {**OWN_ENV, **device_env}, allocation, model)

    def settings(self, allocation: Allocation) -> str:
        """Return the size of its model and the flags to set."""
        words = (f"model size {allocation.speech}", *flags(self.options(allocation)))
        return with_waker(" ".join(words), self.name, self.service, allocation)

    def spoken(self) -> Transcriptions:
        """Return how it is spoken to: it would look for the language of a clip that names none."""
        return Transcriptions(self.service.language)

    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return its own account of its KV cache."""
        return cache_figures(url, PAGE, log)

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, how it is spoken to, and its page of the use of its cache."""
        return Endpoint(url, self.spoken(), PAGE, usage)
