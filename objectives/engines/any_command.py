"""This engine is any server that a template starts, for a service beside the voice turn."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from objectives.allocation import RESIDENT, Allocation
from objectives.apis.api import Endpoint
from objectives.apis.short_requests import Ask, answers_once_healthy
from objectives.apis.texts import Embeddings, Rerank, Speech
from objectives.apis.transcription import Transcriptions, form, transcript
from objectives.diagnosis.symptoms import BESIDE
from objectives.engines.command import Command, command_of
from objectives.engines.engine import Engine
from objectives.engines.engine_options import KEEPS_ANSWERS
from objectives.on_demand.resident import waker_conditions, with_waker, woken
from objectives.services import ApiName, OtherService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

PROBE_TOKENS = 16


@dataclass(frozen=True, slots=True)
class AnyCommand(Engine):
    """This engine is whatever a template starts; what it holds is known once it was started.

    Args:
        service: How it is started, and spoken to.
        name: The service that it serves.
    """

    service: OtherService
    name: str
    apis: ClassVar[tuple[ApiName, ...]] = ("embeddings", "rerank", "speech", "transcription")
    symptoms: ClassVar[str] = BESIDE
    model_kind: ClassVar[Literal["folder", "file", "name"]] = "folder"
    program: ClassVar[str] = ""  # its usual name, where it is no Python package
    sleep_paths: ClassVar[tuple[str, str]] = ("", "")  # of its own sleep mode, and that wakes it

    @property
    def packages(self) -> tuple[str, ...]:
        """Return the packages whose versions matter; by default none is known."""
        return ()

    @property
    def api(self) -> ApiName:
        """Return how it is spoken to."""
        return self.service.api

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data."""
        service = self.service
        data: dict[str, Any] = {
            "api": service.api,
            "command": service.command,
            "env": dict(service.env),
        }
        if service.engine and service.command is None:
            own = {"engine": service.engine, "model": Path(service.model).name}
            data |= {**own, "args": list(service.args)}
        if service.language is not None:
            data["language"] = service.language
        return {**data, **waker_conditions(service), "texts": service.texts}

    def with_folders(self, folder_of: Callable[[str], str]) -> OtherService:  # noqa: ARG002
        """Return the service as it is: its template names its own model."""
        return self.service

    def may_change_answers(self, option: str) -> bool:
        """Return whether an option may change its answers, but for words, which are counted."""
        return self.api != "transcription" and option not in KEEPS_ANSWERS

    def lack(self, versions: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Return None: what its command needs is not known."""
        return None

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:  # noqa: ARG002
        """Return None: what its command needs is not known."""
        return None

    def unable(self, compute: float, precision: str) -> str | None:  # noqa: ARG002
        """Return None: what its command needs is not known."""
        return None

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command, with the values of its options, or what wakes it."""
        command = self.resident_command(allocation, device_env)
        argv = woken(command.argv, self.name, self.service, allocation, self.sleep_paths)
        return replace(command, argv=argv)

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's own command."""
        return command_of(self.service, (), device_env, allocation, "")

    def memory_key(self, allocation: Allocation) -> str:
        """Return its options: each may change what it holds while it is awake."""
        options = allocation.options(self.prefix).items()
        return " ".join(f"{k}={v}" for k, v in sorted(options) if k != RESIDENT)

    def settings(self, allocation: Allocation) -> str:
        """Return the options to set."""
        options = self.memory_key(allocation) or "as it is"
        return with_waker(options, self.name, self.service, allocation)

    def is_random(self, allocation: Allocation) -> bool:  # noqa: ARG002
        """Return False: the words that are counted are not its."""
        return False

    def is_ready(self, url: str, within_s: float, clip: Clip) -> bool:
        """Return whether the health page is 200 and one real answer came back in time."""
        api, health_url = _api(self.service), url + self.service.health_path
        if isinstance(api, Transcriptions):
            ask = Ask("POST", url + api.path, form(clip, api))
            return answers_once_healthy(health_url, ask, transcript, within_s=within_s)
        request = Request(self.name, 0.0, PROBE_TOKENS)
        ask = Ask("POST", url + api.path, {"json": json.loads(api.body(request, ()))})
        return answers_once_healthy(health_url, ask, api.read, within_s=within_s)

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, _api(self.service))


def _api(service: OtherService) -> Embeddings | Rerank | Speech | Transcriptions:
    match service.api:
        case "embeddings":
            return Embeddings(service.served_model, service.texts)
        case "rerank":
            return Rerank(service.served_model, service.texts)
        case "speech":
            return Speech(service.served_model)
        case "transcription":
            return Transcriptions(service.language, service.served_model)
    raise AssertionError(f"another engine speaks {service.api}")
