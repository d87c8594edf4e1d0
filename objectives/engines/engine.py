"""An engine is a program that serves one service; this module says what a launch needs of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from objectives.allocation import Allocation
from objectives.apis.api import Endpoint
from objectives.engines.command import Command
from objectives.engines.engine_options import EngineOptions
from objectives.fit.cell import CONTEXT_MIB, Host
from objectives.services import ApiName, Service
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload


class Engine(EngineOptions):
    """An engine starts a server and knows when it is ready and what it tells of itself.

    What most servers have not stands here as none; an engine says what it has instead.

    Attributes:
        server_packages: Those of its packages that are the server itself, the one that tells its
            own version first.
        stack_flags: The flags of its command by which the stack of a unit in production is
            compared with it, by their names there; empty where none is compared.
        quiet_death: Why a unit that is restarted only on failure would stay dead; empty where it
            would not.
        compiling: What its log says only where a start compiled, and so had another KV cache than
            later ones have; empty where none does.
        beyond_mib: On a CPU, what it takes outside of what it asks for, MiB.
        own_wakers: How it wakes by itself in production, with the variable that says when it
            sleeps.
        sleep_words: The flag and the variable that its sleep mode needs; empty: it has none.
        own_variables: Those of a shell that a live study must look at.
    """

    __slots__ = ()

    server_packages: ClassVar[tuple[str, ...]] = ()
    stack_flags: ClassVar[Mapping[str, str]] = {}
    quiet_death: ClassVar[str] = ""
    compiling: ClassVar[str] = ""
    beyond_mib: ClassVar[float] = 0.0
    own_wakers: ClassVar[Mapping[str, str]] = {}
    sleep_words: ClassVar[tuple[str, str]] = ("", "")
    own_variables: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def api(self) -> ApiName:
        """Return how it is spoken to."""

    @property
    @abstractmethod
    def symptoms(self) -> str:
        """Return by which API's symptoms its failures are named."""

    @property
    @abstractmethod
    def packages(self) -> tuple[str, ...]:
        """Return the packages whose versions matter."""

    @abstractmethod
    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data.

        A model counts by the name of its folder, with flags and precision; where things are
        installed does not count. Its place is told beside.
        """

    @abstractmethod
    def with_folders(self, folder_of: Callable[[str], str]) -> Service:
        """Return the service with the folder of each model that is a hub id."""

    @abstractmethod
    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence what is not installed; None where all is.

        Args:
            versions: What of its `packages` is installed, by name.
        """

    @abstractmethod
    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why these versions do not run on a driver; None where they do."""

    @abstractmethod
    def unable(self, compute: float, precision: str) -> str | None:
        """Return in a sentence what it cannot do on a card; None where it can.

        Args:
            compute: The compute capability of the card, e.g. 8.6.
            precision: The number format that a place names; empty for the usual one.
        """

    @abstractmethod
    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the command that serves this allocation on a device."""

    @abstractmethod
    def memory_key(self, allocation: Allocation) -> str | None:
        """Return as text what of its command the memory of a start depends on, but for a share.

        Starts with equal keys stand for each other. It is None where none does.
        """

    @abstractmethod
    def settings(self, allocation: Allocation) -> str:
        """Return what to set where it runs already, so that it serves this allocation."""

    @abstractmethod
    def is_random(self, allocation: Allocation) -> bool:
        """Return whether its model has random weights, so that nobody judges its answers."""

    @abstractmethod
    def is_ready(self, url: str, within_s: float, clip: Clip) -> bool:
        """Return whether it is healthy and has answered one real request, all within this time."""

    @abstractmethod
    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""

    @property
    def has_share(self) -> bool:
        """Return whether the share that is searched as the LLM's belongs to it."""
        return False

    @property
    def has_kv_cache(self) -> bool:
        """Return whether it may tell of a KV cache."""
        return False

    @property
    def version_command(self) -> tuple[str, ...]:
        """Return the command that prints its version; none where its packages tell it."""
        return ()

    def own_share_mib(self, allocation: Allocation, total_mib: float) -> float | None:  # noqa: ARG002
        """Return what it asks for as a share of its own, MiB; None where it takes what it needs.

        Args:
            allocation: The allocation.
            total_mib: The memory of its device, MiB.
        """
        return None

    def held_mib(self, allocation: Allocation, host: Host) -> float | None:
        """Return that with what its processes take beyond it, MiB."""
        share_mib = self.own_share_mib(allocation, host.total_mib)
        beyond_mib = self.beyond_mib if host.is_cpu else CONTEXT_MIB
        return None if share_mib is None else share_mib + beyond_mib

    def figures(self, url: str, log: str) -> dict[str, Any]:  # noqa: ARG002  it tells nothing
        """Return what it tells of itself once it is ready, by name without the service."""
        return {}

    def bounds(
        self,
        figures: Mapping[str, Any],  # noqa: ARG002
        workload: Workload,  # noqa: ARG002
        allocation: Allocation,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return what its figures bound under a workload, by flat name."""
        return {}
