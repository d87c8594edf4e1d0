"""Servers are ready for load once all of a launch answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from objectives.evaluation import OnPhase
from objectives.load.generator import Generator
from objectives.load.sending.plan import Endpoints
from objectives.servers.blame import Suspects


@dataclass(frozen=True, slots=True)
class ReadyServers:
    """Ready servers are those of one launch, with what is needed to load them.

    Args:
        generator: What sends the requests.
        endpoints: Where the servers listen, in the order in which a turn passes them.
        suspects: What may have failed.
        on_phase: Called as each load begins.
        sleepers: The services that sleep until they are asked.
    """

    generator: Generator
    endpoints: Endpoints
    suspects: Suspects
    on_phase: OnPhase
    sleepers: Sequence[str] = ()
