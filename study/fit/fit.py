"""Say which cells of a spec's space would start, on this machine's device or on a named one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from objectives.allocation import MEMORY, OF_MEMORY, SHARE, SPEECH, Allocation
from objectives.devices.device import Identity
from objectives.devices.device_set import Room
from objectives.devices.open_device import open_device
from objectives.engines.engine import in_order, llm_engine, with_kv_cache
from objectives.engines.every import version_in
from objectives.engines.places import HOST
from objectives.errors import BadInput, SetupError
from objectives.fit.cards import card
from objectives.fit.cell import Cell, Host
from objectives.on_demand.resident import RESIDENT
from objectives.recording import read
from objectives.servers.versions import Versions, installed
from objectives.services import LlmService, Services
from objectives.setting import Setting
from study.fit.by_files import ByFiles, by_files, held_by
from study.fit.device_sets import undivided
from study.spec.memory.on_device import on_device
from study.spec.model import Spec
from study.spec.setting import setting_of

MOST_CELLS = 2000
NO_MEMORY = ("whisper.beam_size", "whisper.language", "whisper.threads", "whisper.max_new_tokens")


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit is the answer of the files.

    Args:
        asked: The files, as they were read.
        cells: What they say of each allocation whose memory is another.
        notes: What else a person must know.
    """

    asked: ByFiles
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]


def fit(spec: Spec, *, card_name: str | None = None, total_mib: float | None = None) -> Fit:
    """Return the answer of a spec's files.

    Args:
        spec: The spec.
        card_name: The name of a card to ask for, in place of this machine's device.
        total_mib: The memory of a device to ask for, MiB.

    Raises:
        BadInput: The card is not known, the spec is for the CPU, or what it says in MiB is no share
            of this device that it may have.
        SetupError: There is no device here, an engine does not run on the card, or a model's files
            are missing or broken.
    """
    hosts, version, notes = _hosts(spec, card_name, total_mib)
    host = next(iter(hosts.values()))
    spec = on_device(spec, host.total_mib, host.product)
    asked = _asked(spec, spec.services, hosts, version)
    if sentences := undivided(_with_folder(spec.services, asked.folder), spec.places):
        raise SetupError("; ".join(sentences))
    notes += asked.unknown(spec.baseline)
    allocations: Iterable[Allocation] = [spec.baseline]
    if spec.search_space.size is None:
        notes.append("the space has a continuous range: the baseline alone is shown")
    else:
        allocations = itertools.islice(spec.search_space.grid(), MOST_CELLS)
        if spec.search_space.size > MOST_CELLS:
            notes.append(f"the first {MOST_CELLS:,} of {spec.search_space.size:,} are looked at")
    distinct = {memory_key(a): a for a in reversed(list(allocations))}
    cells = tuple(asked.cell(a) for a in reversed(distinct.values()))
    return Fit(asked, cells, tuple(notes))


def readable(
    spec: Spec, setting: Setting, versions: Versions, rooms: Mapping[str, Room]
) -> tuple[ByFiles | None, str]:
    """Return the files of a study's models on this machine, or None and why they say nothing.

    Args:
        spec: The spec.
        setting: What is measured, with models as they lie on this machine.
        versions: Those of the servers.
        rooms: The devices by name, the LLM's first, with what other processes hold of them now.
    """
    hosts = hosts_in(rooms, setting)
    try:
        return _asked(spec, setting.services, hosts, version_in(setting.services, versions)), ""
    except SetupError as error:
        return None, str(error)


def hosts_in(rooms: Mapping[str, Room], setting: Setting) -> dict[str, Host]:
    """Return the devices as the arithmetic takes them, each with the tenants that are on it."""
    hosts, first = dict[str, Host](), next(iter(rooms))
    for name, room in rooms.items():
        identity, is_cpu = room.identity, room.identity.cuda is None
        tenants = [t for t in setting.tenants if (t.device or first) == name]
        hosts[name] = Host(
            product=identity.product,
            total_mib=identity.total_mib,
            held_mib=room.held_mib + held_by(tenants, identity.total_mib, is_cpu=is_cpu),
            reserve_mib=setting.reserve_mib,
            is_cpu=is_cpu,
        )
    return hosts


def _with_folder(services: Services, folder: Path) -> Services:
    """Return the services with the LLM's model where it lies."""
    return {
        name: replace(s, model=str(folder)) if isinstance(s, LlmService) else s
        for name, s in services.items()
    }


def _asked(
    spec: Spec, services: Services, hosts: Mapping[str, Host], version: str | None
) -> ByFiles:
    sets = [place for of in spec.places.values() for place in of if len(place.devices) > 1]
    first = next(iter(hosts))
    shipped = Path(str(files("objectives"))) / "recordings"
    return by_files(
        services,
        spec.baseline,
        hosts[first],
        sum(spec.workload.longest),
        version=version,
        beside=(spec.path.parent, Path()),
        is_shipped=isinstance(spec.measure, Path) and spec.measure.parent == shipped,
        others={
            n: host
            for n, host in hosts.items()
            if n != first and any(n in place.devices for place in sets)
        },
    )


def memory_key(allocation: Allocation) -> tuple[tuple[str, object], ...]:
    """Return what of an allocation decides its memory; what sleeps is counted awake."""
    values = allocation.own_values.items()
    awake = ((k, v) for k, v in values if not k.endswith(f".{RESIDENT}"))
    return tuple(sorted((k, v) for k, v in awake if k not in NO_MEMORY))


def varied(cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return the parameters in which cells differ, memory and speech model first."""
    several: dict[str, set[object]] = {}
    for cell in cells:
        for name, value in cell.allocation.own_values.items():
            several.setdefault(name, set()).add(value)
    apart = (*OF_MEMORY, SPEECH, *NO_MEMORY)
    others = (k for k, v in several.items() if len(v) > 1 and k not in apart)
    return (MEMORY if MEMORY in several else SHARE, SPEECH, *others)


def named_device(
    spec: Spec, card_name: str | None, total_mib: float | None
) -> tuple[str, float, list[str]]:
    """Return the name, the memory (MiB) and notes of a device that need not be in this machine.

    Args:
        spec: The spec of a study on it.
        card_name: The name of its card; None where its memory alone is known.
        total_mib: Its memory, MiB, where no card is named.

    Raises:
        BadInput: The card is not known, or the spec is for the CPU.
        SetupError: An engine does not run on the card.
    """
    if card_name is None:
        assert total_mib is not None  # noqa: S101  one of both is named
        return "a device", total_mib, []
    if spec.device == "cpu":
        raise BadInput(f"--card: {spec.path.name} says `device: cpu`; leave --card out")
    named = card(card_name)
    engines = [e for e in in_order(spec.services) if e.service.place is None]
    lacks = [e.unable(named.compute, "") for e in engines]
    if lack := next(filter(None, lacks), None):
        raise SetupError(f"{named.name} has compute capability {named.compute}, and {lack}")
    llm = with_kv_cache(spec.services)
    note = None if llm is None else llm.note_on(named.compute)
    has = f"{named.name} has compute capability {named.compute}, and {note}"
    return named.name, named.usable_mib, [*([has] if note else []), *named.notes]


def _hosts(
    spec: Spec, card_name: str | None, total_mib: float | None
) -> tuple[dict[str, Host], str | None, list[str]]:
    """Return the devices by name, the LLM's first, the version of what serves it, and notes.

    A card that is named stands for every GPU of the spec.
    """
    notes: list[str] = []
    version = _version_here(spec)
    names = [n for n in spec.devices if n != HOST] or [""]
    if card_name is not None or total_mib is not None:
        product, total_mib, notes = named_device(spec, card_name, total_mib)
        cuda = None if spec.device == HOST else "unknown"
        named = Identity(product, "", total_mib, driver=None, cuda=cuda)
        rooms = dict.fromkeys(names, Room(named, 0.0))
    elif isinstance(spec.measure, Path):
        recording = read(spec.measure)
        rooms = {names[0]: Room(recording.provenance.device, 0.0)}
        version = version_in(spec.services, recording.provenance.versions)
    else:
        rooms = {name: _room_here(spec.devices.get(name, spec.device)) for name in names}
    return hosts_in(rooms, setting_of(spec)), version, notes


def _room_here(device_name: str) -> Room:
    try:
        device = open_device(device_name)
    except SetupError as error:
        raise SetupError(f"{error}; or name one: --card 'RTX 3060', or --total-mib N") from error
    return Room(device.identity, device.identity.total_mib - device.sample().free_mib)


def _version_here(spec: Spec) -> str | None:
    """Return the version of what serves the LLM of a live spec; None where it is not here."""
    llm = next(s for s in spec.services.values() if isinstance(s, LlmService))
    asked = llm_engine(llm).server_packages
    if spec.measure != "live" or llm.command is not None or not asked:
        return None
    try:
        packages = installed(llm.python, asked)
    except SetupError:
        return None
    return llm_engine(llm).version_in(packages)
