"""A study has one device, or several by name; they are read with which services are where."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from objectives.devices.device import BY_BUS, INDEX, ORDER, VISIBLE
from objectives.engines.places import HOST, PLACE, Place
from objectives.engines.registry import speech_engine
from objectives.servers.tenants import Tenant
from objectives.services import LlmService, Service, Services, SttService
from study.spec.model import Budget
from study.spec.services.beside import NAME
from study.spec.services.sets import check_llm_places, check_set, llm_places
from study.spec.yaml_node import YamlEntry
from study.text import meant

CARD = re.compile(rf"{INDEX}|(GPU|MIG)-[0-9A-Za-z/-]+")
DEVICE = re.compile(rf"cpu|cuda|(cuda:)?{CARD.pattern}")
ONLY = "gpu"  # the name of a GPU that has none, beside the CPU


@dataclass(frozen=True, slots=True)
class Devices:
    """These are the devices of a spec, with the places of its services.

    Args:
        main: The one that the LLM is on: cpu, cuda, an index or a UUID.
        by_name: All of them by name, the LLM's first; none where the only one has no name.
    """

    main: str
    by_name: Mapping[str, str]


def read_devices(top: YamlEntry, budget: Budget) -> Devices:
    """Read `device`, or `devices` by name.

    Raises:
        BadInput: One is no device, or the budget forbids it; it has file, line and key.
    """
    several = top.at("devices")
    if not several.is_present:
        return Devices(_device(top.at("device"), budget, top), {})
    if top.at("device").is_present:
        raise top.at("device").wrong("it stands beside `devices:`", "remove one")
    by_name = dict(_named(several, budget, top))
    if not by_name:
        raise several.wrong("it names no device", "write `devices: {gpu0: 0, gpu1: 1}`")
    first, *_ = by_name
    place = next(llm_places(top, "llm"), top.at("services", "llm", PLACE))
    main = Place.of(str(place.scalar())).devices[0] if place.is_present else first
    if main not in by_name:
        raise place.wrong(f"there is no device {main!r}", meant(main, [*by_name]))
    ordered = {main: by_name[main], **by_name}
    return Devices(ordered[main], ordered)


def _named(entry: YamlEntry, budget: Budget, top: YamlEntry) -> Iterator[tuple[str, str]]:
    before = dict[str, str]()
    for name, value in entry.items().items():
        if not NAME.fullmatch(name):
            raise value.wrong(f"{name!r} cannot name a device", "use small letters and digits")
        device = HOST if name == HOST and value.is_null else _device(value, budget, top)
        if (device == HOST) != (name == HOST):
            raise value.wrong(f"{name} is {device}", "the host's own memory, alone, is called cpu")
        if device in before:
            raise value.wrong(f"{before[device]} is the same device", "remove one")
        before[device] = name
        yield name, device


def _device(entry: YamlEntry, budget: Budget, top: YamlEntry) -> str:
    """Return the device to open: cpu, cuda, an index or a UUID."""
    device = str(entry.scalar()) if entry.is_present else "cuda"
    if not DEVICE.fullmatch(device):
        raise entry.wrong(
            f"{entry.quotation} is no device",
            "write cpu, cuda, an index such as 0, or a UUID (GPU-...)",
        )
    if device != HOST and not budget.allow_gpu:
        raise top.at("budget", "allow_gpu").wrong(
            f"it forbids the GPU that `{entry.path[0]}` asks for", "write `device: cpu`"
        )
    return device.removeprefix("cuda:")


def placed(
    top: YamlEntry,
    devices: Devices,
    services: Services,
    tenants: Sequence[Tenant],
) -> tuple[Devices, Services]:
    """Return the devices with the host's where a service may be there, and the services placed.

    Each service that names no place is on the LLM's device; speech with `device: cpu` on the CPU.

    Raises:
        BadInput: A place names no device, or a number format that nothing has there.
    """
    by_name = dict(devices.by_name)
    for entry, name, text in _places(top, services):
        place = Place.of(text)
        if by_name and HOST in place.devices:
            by_name.setdefault(HOST, HOST)
        for device in place.devices:
            _check_device(entry, device, by_name)
        if text.endswith("/"):
            raise entry.wrong(f"{text!r} names no number format", f"write {place.on}")
        check_set(entry, place, name, services[name], by_name)
        _check_precision(top, entry, place, name, services[name])
    for name, service in services.items():
        if by_name:
            _refuse_variables(top.at("services", name, "env"))
        if isinstance(service, LlmService) and by_name:
            check_llm_places(top, name, service, next(iter(by_name)))
    for entry, tenant in zip(top.at("tenants").elements() if tenants else (), tenants, strict=True):
        if tenant.device is not None and tenant.device not in by_name:
            what = f"there is no device {tenant.device!r}"
            raise entry.at("device").wrong(what, meant(tenant.device, [*by_name]))
    if not by_name and devices.main != HOST and any(map(_is_on_the_cpu, services.values())):
        by_name = {ONLY: devices.main, HOST: HOST}
        services = {
            n: replace(s, place=HOST) if _is_on_the_cpu(s) else s for n, s in services.items()
        }
    if not by_name:
        return devices, services
    first = next(iter(by_name))
    at = {n: s if s.place else replace(s, place=first) for n, s in services.items()}
    return Devices(devices.main, by_name), at


def _refuse_variables(env: YamlEntry) -> None:
    """Refuse variables that would take a server from the devices of its place."""
    seen, order = env.at(VISIBLE), env.at(ORDER)
    if seen.is_present:
        raise seen.wrong("the place of a service says which GPUs it sees", "remove it")
    if order.is_present and order.scalar() != BY_BUS:
        raise order.wrong("CUDA would count GPUs otherwise than the study does", "remove it")


def _is_on_the_cpu(service: Service) -> bool:
    """Return whether a service says itself that it computes on the CPU."""
    return isinstance(service, SttService) and service.command is None and service.device == HOST


def _check_device(entry: YamlEntry, device: str, by_name: Mapping[str, str]) -> None:
    if not by_name:
        way_out = "name them, as in `devices: {gpu0: 0, gpu1: 1}`"
        raise entry.wrong("it names a device, and the devices have no names", way_out)
    if device not in by_name:
        known = dict.fromkeys((*by_name, HOST))
        raise entry.wrong(f"there is no device {device!r}", meant(device, [*known]))


def _check_precision(
    top: YamlEntry, entry: YamlEntry, place: Place, name: str, service: Service
) -> None:
    """Refuse a number format that a service cannot have, or that stands elsewhere too."""
    if isinstance(service, SttService):
        top.at("services", name, "device").refuse_beside(entry)
    if not place.precision:
        return
    formats: Sequence[str] = ()
    if isinstance(service, SttService) and service.command is None:
        formats = speech_engine(service, name).precisions
    if not formats:
        raise entry.wrong(f"{name} takes no number format", f"write {place.on} alone")
    if place.precision not in formats:
        raise entry.wrong(
            f"CTranslate2 has no {place.precision!r}", meant(place.precision, formats)
        )
    for key in ("search_space", "baseline"):
        top.at(key, "whisper.compute_type").refuse_beside(entry)


def _places(top: YamlEntry, services: Services) -> Iterator[tuple[YamlEntry, str, str]]:
    """Yield every place that the file names, with its service."""
    for name in services:
        fixed = top.at("services", name, PLACE)
        listed = top.at("search_space", f"{name}.{PLACE}")
        now = top.at("baseline", f"{name}.{PLACE}")
        for other in (listed, now):
            fixed.refuse_beside(other)
        for entry in (fixed, now, *(listed.elements() if listed.is_list else ())):
            if entry.is_present:
                yield entry, name, str(entry.scalar())
