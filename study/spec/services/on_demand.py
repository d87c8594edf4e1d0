"""This module checks what a spec says of services that sleep until they are asked."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence

from objectives.allocation import RESIDENT
from objectives.engines.any_command import AnyCommand
from objectives.engines.llm_server import USUAL, LlmServer
from objectives.engines.places import HOST
from objectives.engines.registry import LLM_ENGINES, OTHER_ENGINES, engine_of
from objectives.figures import STREAMED
from objectives.on_demand.resident import keeps_process
from objectives.on_demand.wakers import FRONT, waker_fault
from objectives.search_space.parameter import Parameter
from objectives.servers.supervision.container import runs_container
from objectives.services import LlmService, OtherService, Service, Services
from study.spec.yaml_node import YamlEntry


def check_on_demand(
    top: YamlEntry, services: Services, parameters: Sequence[Parameter], device: str
) -> None:
    """Refuse a service that sleeps where nothing wakes it in production, or cannot be woken here.

    Args:
        top: The whole file.
        services: The services.
        parameters: What is searched.
        device: The LLM's device.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    for name, service in services.items():
        parameter = f"{name}.{RESIDENT}"
        entry, searched = top.at("services", name), top.at("search_space", parameter)
        fixed = top.at("baseline", parameter)
        values = next((p.choices for p in parameters if p.name == parameter), ())
        if searched.is_present and not all(isinstance(value, bool) for value in values):
            raise searched.wrong("it is a yes or no", "write [true, false]")
        if fixed.is_present and not isinstance(value := fixed.scalar(), bool):
            raise fixed.wrong(f"{value} is neither true nor false", "write one of them")
        for other in (searched, fixed):
            entry.at(RESIDENT).refuse_beside(other)
        known = values or ((fixed.scalar(),) if fixed.is_present else (service.resident,))
        own_wakers = {} if service.command is not None else engine_of(name, service).own_wakers
        _check_waker(entry, service, own_wakers, may_sleep=not all(known))
        if keeps_process(service):
            _check_sleep_mode(entry.at("sleep_mode"), name, service, service.place or device)


def _check_waker(
    entry: YamlEntry, service: Service, own_wakers: Collection[str], *, may_sleep: bool
) -> None:
    if not may_sleep:
        for key in ("woken_by", "idle_s", "sleep_mode"):
            if entry.at(key).is_present:
                way_out = f"write `resident: false`, or search {entry.path[-1]}.{RESIDENT}"
                raise entry.at(key).wrong("the service never sleeps", way_out)
        return
    if fault := waker_fault(str(entry.path[-1]), service.woken_by or "", own_wakers):
        raise entry.at("woken_by").wrong(*fault)
    if runs_container(shlex.split(service.command or "")):
        raise entry.at("command").wrong(
            "it runs a container, which is not woken here", "write `resident: true`"
        )


def _check_sleep_mode(
    entry: YamlEntry, name: str, service: LlmService | OtherService, device: str
) -> None:
    """Refuse that a service keeps its process where nothing of it can sleep, or nobody wakes it."""
    kinds: Mapping[str, type[LlmServer | AnyCommand]]
    kinds = LLM_ENGINES if service.api in STREAMED else OTHER_ENGINES
    able = [engine for engine, kind in kinds.items() if kind.sleep_paths[0]]
    usual = USUAL if isinstance(service, LlmService) else ""
    if service.command is not None or (service.engine or usual) not in able:
        ways = " or ".join(f"`engine: {engine}`" for engine in able)
        raise entry.wrong(f"what serves {name} has none", f"remove it, or name {ways}")
    if service.woken_by != FRONT:
        what = f"{service.woken_by} stops a server, and does not let it sleep"
        raise entry.wrong(what, "remove it, or write `woken_by: front`")
    if device == HOST:
        raise entry.wrong("it frees the memory of a GPU alone", "remove it")
