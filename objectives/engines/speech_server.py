"""The engines that transcribe have this in common; each one's module says what is its own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from objectives.allocation import RESIDENT, Allocation
from objectives.apis.api import Endpoint
from objectives.apis.short_requests import Ask, answers_once_healthy
from objectives.apis.transcription import Transcriptions, form, transcript
from objectives.engines.command import Command
from objectives.engines.engine import Engine
from objectives.engines.unit_form import UnitForm
from objectives.fit.cell import Host, SpeechMemory
from objectives.model_files.whisper import named_parameters
from objectives.on_demand.resident import waker_conditions, with_waker, woken
from objectives.services import ApiName, SttService
from objectives.traffic.clips import Clip


@dataclass(frozen=True, slots=True)
class SpeechServer(Engine):
    """An engine that transcribes takes the memory that it needs.

    Args:
        service: Which models it serves, and how it is started.
        name: The service that it serves.
    """

    service: SttService
    name: str = "stt"
    api: ClassVar[ApiName] = "transcription"
    symptoms: ClassVar[str] = api
    packages: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str] = ""  # what people call it
    unit_form: ClassVar[UnitForm | None] = None  # how it runs where no study started it
    own_prefix: ClassVar[str] = ""  # of its parameters, where that is not the service's name
    own_keys: ClassVar[frozenset[str]] = frozenset()  # of an entry, which no other engine has
    precisions: ClassVar[tuple[str, ...]] = ()  # the number formats that its place may name
    hub: ClassVar[Mapping[str, str]] = {}  # the id of the model of each size

    @property
    def prefix(self) -> str:
        """Return the beginning of the names of its parameters."""
        return self.own_prefix or f"{self.name}."

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data."""
        service = self.service
        models = {size: Path(model).name for size, model in sorted(service.models.items())}
        own = self.own_conditions()
        more = {"args": list(service.args), "env": dict(service.env), "command": service.command}
        return {"models": models, **own, **more, **waker_conditions(service)}

    @abstractmethod
    def own_conditions(self) -> dict[str, Any]:
        """Return what of its own keys changes figures, as plain data."""

    def with_folders(self, folder_of: Callable[[str], str]) -> SttService:
        """Return the service with the folders of its models; a template names its own."""
        service = self.service
        if service.command:
            return service
        return replace(service, models={k: folder_of(v) for k, v in service.models.items()})

    def may_change_answers(self, option: str) -> bool:  # noqa: ARG002
        """Return False: its words are counted."""
        return False

    def parameters(self, size: str, folder: Path | None) -> int | None:  # noqa: ARG002
        """Return the parameters of the model of a size; None where they are not known.

        Args:
            size: Its size, e.g. `base`.
            folder: Where it lies; None where it is not on this machine.

        Raises:
            SetupError: Its file is cut short.
        """
        return named_parameters(size) or named_parameters(self.service.models[size])

    @abstractmethod
    def memory(self, allocation: Allocation, parameters: int | None, host: Host) -> SpeechMemory:
        """Return what it takes of a device under an allocation.

        Args:
            allocation: The allocation.
            parameters: Those of its model; None where they are not known.
            host: The device.
        """

    def model(self, allocation: Allocation) -> str:
        """Return the folder or hub id of the model of an allocation."""
        return self.service.models.get(allocation.speech, allocation.speech)

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command, or what wakes it."""
        command = self.resident_command(allocation, device_env)
        return replace(command, argv=woken(command.argv, self.name, self.service, allocation))

    @abstractmethod
    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's own command."""

    def memory_key(self, allocation: Allocation) -> str:
        """Return its model and options: each may change what it holds."""
        return allocation.speech_key

    def settings(self, allocation: Allocation) -> str:
        """Return the size of its model and the options to set."""
        options = allocation.options(self.prefix) | allocation.options(f"{self.name}.")
        words = (f"{k}={v}" for k, v in options.items() if k != RESIDENT)
        settings = ", ".join([f"model size {allocation.speech}", *words])
        return with_waker(settings, self.name, self.service, allocation)

    def is_random(self, allocation: Allocation) -> bool:
        """Return whether its model has random weights."""
        return allocation.speech in self.service.random_weights

    def is_ready(self, url: str, within_s: float, clip: Clip) -> bool:
        """Return whether the health page is 200 and one real transcription came back in time."""
        ask = Ask("POST", url + Transcriptions.path, form(clip, self.spoken()))
        path = self.service.health_path
        return answers_once_healthy(url + path, ask, transcript, within_s=within_s)

    def spoken(self) -> Transcriptions:
        """Return how it is spoken to; by default it knows the language itself."""
        return Transcriptions()

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, self.spoken())
