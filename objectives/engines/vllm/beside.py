"""The engine vLLM beside the turn: it embeds texts, ranks them, or transcribes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from objectives.allocation import Allocation
from objectives.apis.api import Endpoint
from objectives.engines.any_command import AnyCommand
from objectives.engines.command import Command, command_of, flags
from objectives.engines.vllm.common import (
    OWN_ENV,
    SERVER,
    VllmServer,
    cache_figures,
    with_sleep_mode,
)
from objectives.engines.vllm.kv_cache import usage
from objectives.engines.vllm.llm import CHANGES_ANSWERS
from objectives.engines.vllm.requirements import PACKAGES, READS_SOUND
from objectives.services import ApiName, OtherService, hears

OF_POOLING = {"pooler_config", "override_pooler_config"}  # they change answers too


@dataclass(frozen=True, slots=True)
class VllmBeside(VllmServer, AnyCommand):
    """This engine is vLLM with a model that embeds, ranks or transcribes.

    A Whisper, or a model made of a generator, holds a KV cache in its share; any other checks only
    at its start that so much is free, and takes what it needs.
    """

    set_by_us: ClassVar[Mapping[str, str]] = {
        **VllmServer.set_by_us,
        **dict.fromkeys(("runner", "task"), "leave it to services.{name}.api"),
        "model": "use services.{name}.model",
    }
    apis: ClassVar[tuple[ApiName, ...]] = ("embeddings", "rerank", "transcription")

    @property
    def packages(self) -> tuple[str, ...]:
        """Return the packages whose versions matter."""
        return (*PACKAGES, READS_SOUND) if self.service.api == "transcription" else PACKAGES

    @property
    def has_kv_cache(self) -> bool:
        """Return whether it may tell of a KV cache: a Whisper does."""
        return hears(self.service)

    def with_folders(self, folder_of: Callable[[str], str]) -> OtherService:
        """Return the service with the folder of its model."""
        return replace(self.service, model=folder_of(self.service.model))

    def may_change_answers(self, option: str) -> bool:
        """Return whether a flag changes its answers, but for words, which are counted."""
        changes = CHANGES_ANSWERS | OF_POOLING
        return self.service.api != "transcription" and option in changes

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `NAME.<flag>` parameters become `--<flag>`."""
        service = self.service
        argv: tuple[str, ...] = (service.python, *SERVER, "--model", service.model)
        runner = () if service.api == "transcription" else ("--runner", "pooling")
        argv += ("--served-model-name", service.served_model, *runner, *service.args)
        argv += flags(self.options(allocation))
        argv, env = with_sleep_mode(argv, {**OWN_ENV, **device_env}, self.name, service, allocation)
        return command_of(service, argv, env, allocation, service.model)

    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return its own account of its KV cache."""
        path = self.service.metrics_path
        return cache_figures(url, path, log) if self.has_kv_cache else {}

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, how it is spoken to, and its page of the use of its cache."""
        plain = super(VllmBeside, self).endpoint(url)
        if not self.has_kv_cache:
            return plain
        return replace(plain, metrics_path=self.service.metrics_path, usage=usage)
