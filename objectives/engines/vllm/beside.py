"""The engine vLLM beside the turn: it embeds texts, ranks them, or transcribes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from objectives.allocation import Allocation
from objectives.apis.api import ApiName
from objectives.engines.any_command import AnyCommand
from objectives.engines.command import Command, command_of
from objectives.engines.llm_server import flags
from objectives.engines.places import PLACE
from objectives.engines.vllm.flags import SHARE_OPTION, missing_share
from objectives.engines.vllm.llm import (
    CHANGES_ANSWERS,
    OWN_ENV,
    SERVER,
    SLEEP_PATHS,
    with_sleep_mode,
)
from objectives.engines.vllm.needs import (
    PACKAGES,
    READS_SOUND,
    SERVER_PACKAGES,
    missing_package,
    missing_sound,
    old_driver,
    weak_card,
)
from objectives.on_demand.resident import RESIDENT
from objectives.services import OtherService

OURS = "leave it to the study"
OF_POOLING = {"pooler_config", "override_pooler_config"}  # they change answers too


@dataclass(frozen=True, slots=True)
class VllmBeside(AnyCommand):
    """This engine is vLLM with a model that embeds, ranks or transcribes.

    A Whisper, or a model made of a generator, holds a KV cache in its share; any other checks only
    at its start that so much is free, and takes what it needs.
    """

    apis: ClassVar[tuple[ApiName, ...]] = ("embeddings", "rerank", "transcription")
    server_packages: ClassVar[tuple[str, ...]] = SERVER_PACKAGES
    share_option: ClassVar[str] = SHARE_OPTION
    sleep_paths: ClassVar[tuple[str, str]] = SLEEP_PATHS

    @property
    def packages(self) -> tuple[str, ...]:
        """Return the packages whose versions matter."""
        return (*PACKAGES, READS_SOUND) if self.service.api == "transcription" else PACKAGES

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data."""
        service = self.service
        own = {"engine": service.engine, "model": Path(service.model).name}
        return {**super(VllmBeside, self).conditions(), **own, "args": list(service.args)}

    def with_folders(self, folder_of: Callable[[str], str]) -> OtherService:
        """Return the service with the folder of its model."""
        return replace(self.service, model=folder_of(self.service.model))

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        own = f"use services.{self.name}"
        by_api = f"leave it to {own.removeprefix('use ')}.api"
        return {
            "host": OURS,
            "port": OURS,
            "runner": by_api,
            "task": by_api,  # of versions before `runner`
            "model": f"{own}.model",
            "served_model_name": f"{own}.served_model",
        }.get(option)

    def may_change_answers(self, option: str) -> bool:
        """Return whether a flag changes its answers, but for words, which are counted."""
        changes = CHANGES_ANSWERS | OF_POOLING
        return self.service.api != "transcription" and option in changes

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return that nothing says its share, which would be nearly all; None where something does.

        Args:
            named: The options that the search space or the baseline names.
        """
        return missing_share(f"{self.prefix}{SHARE_OPTION}", named, self.service.args)

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence that vLLM, or what it reads sound with, is not installed."""
        lacks = missing_sound if self.service.api == "transcription" else missing_package
        return lacks(self.name, self.service.python, versions)

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why a driver is too old for vLLM; None where it is not."""
        return old_driver(versions, driver)

    def unable(self, compute: float, precision: str) -> str | None:  # noqa: ARG002
        """Return in a sentence that vLLM does not run on a card; None where it may."""
        return weak_card(self.name, compute)

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `NAME.<flag>` parameters become `--<flag>`."""
        service = self.service
        argv: tuple[str, ...] = (service.python, *SERVER, "--model", service.model)
        runner = () if service.api == "transcription" else ("--runner", "pooling")
        argv += ("--served-model-name", service.served_model, *runner, *service.args)
        options = allocation.options(self.prefix)
        argv += flags({k: v for k, v in options.items() if k not in (RESIDENT, PLACE)})
        argv, env = with_sleep_mode(argv, {**OWN_ENV, **device_env}, self.name, service, allocation)
        return command_of(service, argv, env, allocation, service.model)
