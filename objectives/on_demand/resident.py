"""A service is resident, or it sleeps until it is asked; its command then begins with a front."""

from __future__ import annotations

import sys
from pathlib import Path

from objectives.allocation import Allocation
from objectives.on_demand import front
from objectives.services import OtherService, Service

RESIDENT = "resident"  # the option of a service that says whether it runs all the time


def sleeps(name: str, service: Service, allocation: Allocation) -> bool:
    """Return whether a service sleeps until it is asked under an allocation.

    >>> embed = OtherService(api="embeddings", command="serve {port}")
    >>> sleeps("embed", embed, Allocation({}))
    False
    >>> sleeps("embed", embed, Allocation({"embed.resident": False}))
    True
    """
    if not isinstance(service, OtherService):
        return False
    return not allocation.values.get(f"{name}.{RESIDENT}", service.resident)


def fronted(argv: tuple[str, ...], service: OtherService) -> tuple[str, ...]:
    """Return the words of a front that starts this command when it is asked.

    Args:
        argv: The words of the command; `{port}` stands where its port goes.
        service: How long it may take, and how soon it sleeps again.
    """
    head: tuple[str, ...] = (sys.executable, str(Path(front.__file__)), "--port", "{port}")
    head += ("--health", service.health_path, "--idle-s", f"{service.idle_s:g}")
    head += ("--start-s", f"{service.start_timeout_s:g}", "--")
    return (*head, *(word.replace("{port}", front.OWN_PORT) for word in argv))
