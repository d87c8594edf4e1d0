"""An engine is a program that serves one service; this module says what a launch needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from objectives.allocation import Allocation
from objectives.apis.api import Endpoint
from objectives.engines.command import Command
from objectives.engines.faster_whisper import FasterWhisper
from objectives.engines.vllm import Vllm
from objectives.services import Services
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload


class Engine(Protocol):
    """An engine starts a server and knows when it is ready and what it tells of itself.

    Attributes:
        name: The service that it serves, e.g. `llm`.
    """

    @property
    def name(self) -> str: ...

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the command that serves this allocation on a device."""

    def share(self, allocation: Allocation) -> float | None:
        """Return the share of the device that it asks for; None where it takes what it needs."""

    def is_ready(self, url: str, clip: Clip) -> bool:
        """Return whether it is healthy and has answered one real request."""

    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return what it tells of itself once it is ready, by name without the service."""

    def bounds(
        self, figures: Mapping[str, Any], workload: Workload, allocation: Allocation
    ) -> dict[str, Any]:
        """Return what its figures bound under a workload, by flat name."""

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""


def engines_of(services: Services) -> tuple[Engine, ...]:
    """Return the engines of a study, in the order of their start, which is that of a voice turn.

    What takes the memory it needs is started before what asks for a share of it.
    """
    return FasterWhisper(services.stt), Vllm(services.llm)


def commands_of(
    services: Services, allocation: Allocation, device_env: Mapping[str, str]
) -> dict[str, Command]:
    """Return the commands of an allocation by service, the LLM's first, for which people look."""
    engines = reversed(engines_of(services))
    return {e.name: e.command(allocation, device_env) for e in engines}
