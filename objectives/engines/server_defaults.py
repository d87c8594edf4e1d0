"""What most servers have not: an engine says what it has in place of these."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from objectives.allocation import Allocation
from objectives.traffic.workload import Workload


class ServerDefaults:
    """A server of which nothing more is known: no share, no KV cache, no version, no figures."""

    __slots__ = ()

    has_share: ClassVar[bool] = False
    has_kv_cache: ClassVar[bool] = False
    version_command: ClassVar[tuple[str, ...]] = ()
    server_packages: ClassVar[tuple[str, ...]] = ()
    share_option: ClassVar[str] = ""  # that is its share of a device
    options_of_ours: ClassVar[tuple[str, ...]] = ()
    stack_flags: ClassVar[Mapping[str, str]] = {}
    quiet_death: ClassVar[str] = ""
    compiling: ClassVar[str] = ""

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:  # noqa: ARG002
        """Return what `args` must say and does not, and the way out; None where nothing is.

        Args:
            named: The options that the search space or the baseline names.
        """
        return None

    def figures(self, url: str, log: str) -> dict[str, Any]:  # noqa: ARG002  it tells nothing
        """Return what it tells of itself; by default nothing."""
        return {}

    def bounds(
        self,
        figures: Mapping[str, Any],  # noqa: ARG002
        workload: Workload,  # noqa: ARG002
        allocation: Allocation,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return nothing: its memory bounds no number of requests."""
        return {}
