"""A service is resident, or it sleeps until it is asked; its command then begins with a front."""

from __future__ import annotations

import sys
from pathlib import Path

from objectives.allocation import Allocation
from objectives.on_demand import front
from objectives.services import LlmService, Service, Sleeper

RESIDENT = "resident"  # the option of a service that says whether it runs all the time


def sleeps(name: str, service: Service, allocation: Allocation) -> bool:
    """Return whether a service sleeps until it is asked under an allocation.

    >>> from objectives.services import OtherService
    >>> embed = OtherService(api="embeddings", command="serve {port}")
    >>> sleeps("embed", embed, Allocation({}))
    False
    >>> sleeps("embed", embed, Allocation({"embed.resident": False}))
    True
    """
    if isinstance(service, LlmService):
        return False
    return not allocation.values.get(f"{name}.{RESIDENT}", service.resident)


def fronted(argv: tuple[str, ...], service: Sleeper) -> tuple[str, ...]:
    """Return the words of a front that starts this command when it is asked.

    Args:
        argv: The words of the command; `{port}` stands where its port goes.
        service: How long it may take, and how soon it sleeps again.
    """
    head: tuple[str, ...] = (sys.executable, str(Path(front.__file__)), "--port", "{port}")
    head += ("--health", service.health_path, "--idle-s", f"{service.idle_s:g}")
    head += ("--start-s", f"{service.start_timeout_s:g}", "--")
    return (*head, *(word.replace("{port}", front.OWN_PORT) for word in argv))


def waker_words(service: Sleeper) -> str:
    """Return what wakes a service, and how soon it sleeps again."""
    return f"woken by {service.woken_by}, stopped after {service.idle_s:g} s"


def waker_conditions(service: Sleeper) -> dict[str, object]:
    """Return what of it changes figures, as plain data; nothing where it never sleeps."""
    if service.woken_by is None:
        return {}
    return {"resident": service.resident, "idle_s": service.idle_s}
