"""The engines that serve an LLM have this in common; each one's module says what is its own."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from objectives.allocation import Allocation
from objectives.apis.api import Endpoint
from objectives.apis.chat import Chat, answered, message
from objectives.apis.completions import Completions, completed
from objectives.apis.metrics_page import CachePage
from objectives.apis.short_requests import Ask, answers_once_healthy
from objectives.diagnosis.symptoms import BESIDE
from objectives.engines.command import Command, flags
from objectives.engines.llm_options import LlmOptions
from objectives.engines.unit_form import UnitForm
from objectives.figures import COMPLETIONS, flat_name
from objectives.fit.arithmetic import Arithmetic
from objectives.model_files.json_file import config_number
from objectives.on_demand.resident import waker_conditions, with_waker, woken
from objectives.services import ApiName, LlmService, OtherService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload, prompt

USUAL = "vllm"  # the engine of a spec that names none
USUAL_HEALTH = LlmService().health_path


@dataclass(frozen=True, slots=True)
class LlmServer(LlmOptions):
    """An engine that serves an LLM by the completions or the chat API takes what memory it needs.

    Where that LLM is beside the one that answers turns, its parameters have the name of its service
    before them, and a share of the device is one of them.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    asks_for_share: ClassVar[bool] = False
    has_kv_cache: ClassVar[bool] = True
    model_kind: ClassVar[Literal["folder", "file", "name"]] = "folder"
    program: ClassVar[str] = ""
    title: ClassVar[str] = ""  # what people call it, where it has a share
    default_share: ClassVar[float] = math.nan  # where nothing says it
    health: ClassVar[str] = ""  # its own page of health, where a service names none
    packages: ClassVar[tuple[str, ...]] = ()
    compile_cache: ClassVar[tuple[str, str]] = ("", "")  # its variable, its folder in ~/.cache
    latencies: ClassVar[str] = ""  # of whole requests: a histogram of its page
    at_once_flag: ClassVar[str] = ""  # that sets how many requests it takes at once
    sleep_paths: ClassVar[tuple[str, str]] = ("", "")  # of its own sleep mode, and that wakes it
    unit_form: ClassVar[UnitForm | None] = None  # how it runs where no study started it
    arithmetic: ClassVar[Arithmetic | None] = None  # what it takes, by its model's files

    @property
    def api(self) -> ApiName:
        """Return how it is spoken to."""
        return self.service.api

    @property
    def has_share(self) -> bool:
        """Return whether the share that is searched as the LLM's belongs to it."""
        return self.asks_for_share and not self.is_beside

    @property
    def symptoms(self) -> str:
        """Return by which API's symptoms its failures are named."""
        return BESIDE if self.is_beside else COMPLETIONS

    @property
    def version_command(self) -> tuple[str, ...]:
        """Return the command that prints its version; none where its packages tell it."""
        return (self.executable, "--version") if self.program else ()

    @property
    def executable(self) -> str:
        """Return the file of its program, or its name on the PATH; empty where it has none."""
        return self.service.program or self.program

    @property
    def model_name(self) -> str:
        """Return the model's name in requests."""
        return self.service.served_model

    @property
    def health_path(self) -> str:
        """Return its page of health: the service's, where that names one."""
        is_named = self.service.health_path != USUAL_HEALTH
        return self.service.health_path if is_named or not self.health else self.health

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data."""
        service = self.service
        data: dict[str, Any] = {
            "model": Path(service.model).name,
            "args": list(service.args),
            "env": dict(service.env),
            "command": service.command,
        }
        if service.engine not in ("", USUAL):
            data["engine"] = service.engine
        if service.api != COMPLETIONS:
            data["api"] = service.api
        return data | waker_conditions(service)

    def with_folders(self, folder_of: Callable[[str], str]) -> LlmService | OtherService:
        """Return the service with the folder of its model; a template names its own."""
        service = self.service
        if service.command is not None or self.model_kind != "folder":
            return service
        return replace(service, model=folder_of(service.model))

    def lack(self, versions: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Return in a sentence what is not installed; None where all is."""
        return None

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:  # noqa: ARG002
        """Return None: which drivers it needs is not known here."""
        return None

    def unable(self, compute: float, precision: str) -> str | None:  # noqa: ARG002
        """Return None: which cards it needs is not known here."""
        return None

    def note_on(self, compute: float) -> str | None:  # noqa: ARG002
        """Return what a person must know of it on a card; None where nothing is."""
        return None

    @classmethod
    def version_in(cls, packages: Mapping[str, str]) -> str | None:
        """Return its version among those of packages; None where it is not there."""
        return next((packages[name] for name in cls.server_packages if name in packages), None)

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command, or what wakes it."""
        command = self.resident_command(allocation, device_env)
        service = replace(self.service, health_path=self.health_path)
        argv = woken(command.argv, self.name, service, allocation, self.sleep_paths)
        return replace(command, argv=argv)

    @abstractmethod
    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's own command."""

    def memory_key(self, allocation: Allocation) -> str | None:
        """Return its options: each may change what it holds."""
        return " ".join(f"{k}={v}" for k, v in sorted(self.options(allocation).items()))

    def settings(self, allocation: Allocation) -> str:
        """Return the flags to set, and what wakes it where it sleeps."""
        return with_waker(self.own_settings(allocation), self.name, self.service, allocation)

    def own_settings(self, allocation: Allocation) -> str:
        """Return the flags to set; of a template only its values."""
        if self.service.command is not None:
            return self.values_of(allocation)
        return " ".join(flags(self.options(allocation))) or "as it is"

    def values_of(self, allocation: Allocation) -> str:
        """Return the values that a template may name."""
        if not self.is_beside:
            return str(allocation)
        words = (f"{k}={v}" for k, v in sorted(self.options(allocation).items()))
        return " ".join(words) or "as it is"

    def is_random(self, allocation: Allocation) -> bool:  # noqa: ARG002
        """Return False: its answers are not judged here."""
        return False

    def vocabulary(self) -> int | None:
        """Return how many token ids prompts may use, from the spec or the model's files.

        It is None where neither tells, and for a server that a template starts.
        """
        service = self.service
        if service.vocabulary is not None:
            return service.vocabulary
        return None if service.command is not None else config_number(service.model, "vocab_size")

    def is_ready(self, url: str, within_s: float, clip: Clip | None = None) -> bool:  # noqa: ARG002
        """Return whether the health page is 200 and one real answer came back in time."""
        api, read = self.spoken(), completed
        if isinstance(api, Chat):
            question, read = message("Say yes."), answered
        else:
            ids = None if api.vocabulary is None else prompt(8, 0, api.vocabulary)
            question = {"prompt": ids or "Say yes."}
        body = {"model": self.model_name, **question, "max_tokens": 1, "ignore_eos": True}
        ask = Ask("POST", url + api.path, {"json": body})
        return answers_once_healthy(url + self.health_path, ask, read, within_s=within_s)

    def spoken(self) -> Completions | Chat:
        """Return how its requests are written and its answers read."""
        if self.service.api == "chat":
            return Chat(self.model_name)
        return Completions(self.model_name, self.vocabulary())

    @staticmethod
    def on_page(page: str) -> CachePage:  # noqa: ARG004
        """Return what a Prometheus page tells of its KV cache; by default nothing."""
        return CachePage()

    @abstractmethod
    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return its own account of its KV cache."""

    def at_once(self, allocation: Allocation) -> int | None:  # noqa: ARG002
        """Return how many requests it takes at once at most; None where nothing says."""
        return None

    def bounds(
        self, figures: Mapping[str, Any], workload: Workload, allocation: Allocation
    ) -> dict[str, Any]:
        """Return how many of the longest requests its KV cache holds at once.

        It bounds the capacity from above and is none; None where the cache's size is not known. One
        that is beside those of turns bounds nothing.
        """
        if self.is_beside:
            return {}
        tokens = figures[flat_name(self.name, "kv_tokens")]
        bound = None if tokens is None else tokens // sum(workload.longest)
        limit = self.at_once(allocation)
        if bound is not None and limit is not None:
            bound = min(bound, limit)
        return {"kv_capacity_bound": bound}

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, self.spoken())
