"""The arithmetic by files takes the devices of a spec as hosts: here, elsewhere or recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from objectives.devices.device import Identity
from objectives.devices.device_set import Room
from objectives.devices.open_device import open_device
from objectives.engines.every import version_in
from objectives.engines.places import HOST, Place
from objectives.engines.registry import in_order, llm_engine, llm_of_turns
from objectives.errors import BadInput, SetupError
from objectives.fit.cards import card
from objectives.fit.cell import Host
from objectives.recording import read
from objectives.servers.versions import installed
from objectives.services import LlmService, Services
from objectives.setting import Setting
from study.fit.by_files import held_by
from study.spec.model import Spec
from study.spec.setting import setting_of


def hosts_of(
    spec: Spec, card_name: str | None, total_mib: float | None
) -> tuple[dict[str, Host], str | None, list[str]]:
    """Return the devices by name, the LLM's first, the version of what serves it, and notes.

    A card that is named stands for every GPU of the spec.
    """
    notes: list[str] = []
    version = _version_here(spec.services) if spec.measure == "live" else None
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


def _version_here(services: Services) -> str | None:
    """Return the version of what serves the LLM of turns; None where it is not here."""
    llm = next(s for s in services.values() if isinstance(s, LlmService))
    names = llm_engine(llm).server_packages
    if llm.command is not None or not names:
        return None
    try:
        packages = installed(llm.python, names)
    except SetupError:
        return None
    return llm_engine(llm).version_in(packages)


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
    lacks = (
        engine.unable(named.compute, place.precision)
        for engine in in_order(spec.services)
        for place in spec.places.get(engine.name) or (Place(""),)
        if HOST not in place.devices
    )
    if lack := next(filter(None, lacks), None):
        raise SetupError(f"{named.name} has compute capability {named.compute}, and {lack}")
    llm = llm_of_turns(spec.services)
    note = None if llm is None else llm.note_on(named.compute)
    has = f"{named.name} has compute capability {named.compute}, and {note}"
    return named.name, named.usable_mib, [*([has] if note else []), *named.notes]
