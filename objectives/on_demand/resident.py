"""A service is resident, or it sleeps until it is asked; its command then begins with a front."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TypeGuard

from objectives.allocation import RESIDENT, Allocation
from objectives.on_demand import front
from objectives.on_demand.woken_server import OWN_PORT
from objectives.services import LlmService, LlmWaker, OtherService, Service

KEEP_ALIVE: LlmWaker = "keep_alive"  # a server that stays, and loads its model when it is asked


def sleeps(name: str, service: Service, allocation: Allocation) -> bool:
    """Return whether a service sleeps until it is asked under an allocation.

    >>> embed = OtherService(api="embeddings", command="serve {port}")
    >>> sleeps("embed", embed, Allocation({}))
    False
    >>> sleeps("embed", embed, Allocation({"embed.resident": False}))
    True
    """
    return not allocation.values.get(f"{name}.{RESIDENT}", service.resident)


def woken(
    argv: tuple[str, ...],
    name: str,
    service: Service,
    allocation: Allocation,
    paths: tuple[str, str] = ("", ""),
) -> tuple[str, ...]:
    """Return a command, or where its service sleeps that of a front which starts it when asked.

    Args:
        argv: The words of the command; `{port}` stands where its port goes.
        name: The name of the service.
        service: How long it may take, and how soon it sleeps again.
        allocation: It may say whether the service sleeps.
        paths: Those of the server that let it sleep and wake it, where it keeps its process.
    """
    if not sleeps(name, service, allocation):
        return argv
    head: tuple[str, ...] = (sys.executable, str(Path(front.__file__)), "--port", "{port}")
    head += ("--health", service.health_path, "--idle-s", f"{service.idle_s:g}")
    head += ("--start-s", f"{service.start_timeout_s:g}")
    head += ("--sleep", paths[0], "--wake", paths[1]) if paths[0] and keeps_process(service) else ()
    head += ("--",)
    return (*head, *(word.replace("{port}", OWN_PORT) for word in argv))


def with_waker(settings: str, name: str, service: Service, allocation: Allocation) -> str:
    """Return settings, with what wakes a service that sleeps, and how soon it sleeps again."""
    if not sleeps(name, service, allocation):
        return settings
    way = "in its sleep mode" if keeps_process(service) else "stopped"
    way = "unloaded" if service.woken_by == KEEP_ALIVE else way
    return f"{settings}, woken by {service.woken_by}, {way} after {service.idle_s:g} s"


def waker_conditions(service: Service) -> dict[str, object]:
    """Return what of it changes figures, as plain data; nothing where it never sleeps."""
    if service.woken_by is None:
        return {}
    own = {"sleep_mode": True} if keeps_process(service) else {}
    return {"resident": service.resident, "idle_s": service.idle_s, **own}


def keeps_process(service: Service) -> TypeGuard[LlmService | OtherService]:
    """Return whether a service keeps its process while it sleeps."""
    return isinstance(service, LlmService | OtherService) and service.sleep_mode
