"""The devices of the servers that run today are read from what confines each of them to one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile

from objectives.devices.device import VISIBLE
from objectives.devices.open_device import open_device
from objectives.engines.llm_server import USUAL
from objectives.engines.places import AND, HOST
from objectives.engines.registry import LLM_ENGINES
from objectives.errors import BadInput, SetupError
from objectives.services import LlmService
from study.init_spec.forms.running import Running
from study.init_spec.roles import UnitServices
from study.init_spec.servers.llm_unit import Llm
from study.spec.services.devices import CARD

FIRST, INDEX = "cuda", "0"  # a server that nothing confines takes the first GPU
UUIDS = ("GPU-", "MIG-")
NVIDIA_VISIBLE = "NVIDIA_VISIBLE_DEVICES"
MOST = 64  # cards of one machine


@dataclass(frozen=True, slots=True)
class Places:
    """The places say where each server runs today.

    Args:
        main: The LLM's device, of several its first.
        devices: All of them by name, the LLM's first; none where there is one.
        by_service: The name of each service's device, `gpu0+gpu1` for one on several; none where
            there is one.
        notes: Sentences for a person.
    """

    main: str
    devices: Mapping[str, str]
    by_service: Mapping[str, str]
    notes: tuple[str, ...] = ()


def places_of(today: UnitServices, device: str | None) -> Places:
    """Return where the servers run.

    Args:
        today: Today's services.
        device: The LLM's device, where a person has named it; then the others are there too,
            unless they are on the CPU.

    Raises:
        BadInput: The LLM is spread over more devices than it sees, or a person has named one.
    """
    main, *more = _of_the_llm(today.llm, device)
    if main == HOST:
        return Places(main, {}, {})
    on_cpu = today.stt.device == HOST
    others = {"stt": HOST if on_cpu else device_of(today.stt.running)}
    for b in today.beside:
        is_on_cpu = b.speech is not None and b.speech.device == HOST
        others[b.name] = HOST if is_on_cpu else device_of(b.running)
    devices = {f"gpu{n}": own for n, own in enumerate((main, *more))}
    names = {_uuid(own): name for name, own in devices.items()}
    by_service, notes = {"llm": AND.join(devices)}, list[str]()
    for service, own in others.items():
        if own != HOST and device is not None:
            own = main  # noqa: PLW2901
        if own == FIRST and main.startswith(UUIDS) and _uuid(own) == INDEX:
            notes.append(f"no GPU is seen here: {service} is taken to be on the LLM's, {main}")
            own = main  # noqa: PLW2901
        name = HOST if own == HOST else names.setdefault(_uuid(own), f"gpu{len(names)}")
        devices.setdefault(name, own)
        by_service[service] = name
    if len(devices) == 1:
        return Places(main, {}, {}, tuple(notes))
    return Places(main, devices, by_service, tuple(notes))


def _of_the_llm(llm: Llm, device: str | None) -> tuple[str, ...]:
    """Return the devices of the LLM: as many as its command spreads it over, of those it sees."""
    seen, count = devices_of(llm.running), 1
    if llm.is_usual:
        words = llm.args if llm.command is None else tuple(llm.command.split())
        engine = LLM_ENGINES[USUAL](LlmService(args=words))
        spreads = engine.spread_by({})
        count = max([1, *(n for option, n in spreads if option in engine.of_its_set)])
    what = f"{llm.running.label} is spread over {count} cards"
    if device is not None and count > 1:
        raise BadInput(f"{what}, and --device names one; leave --device out")
    if device is not None:
        return (device,)
    if count > MOST:
        raise BadInput(f"{what}, and a machine has {MOST} at most; mend its command")
    if seen == (FIRST,) and count > 1:
        return tuple(map(str, range(count)))
    if seen == (HOST,) and count > 1:
        raise BadInput(f"{what} and sees none; mend what it sees, or its command")
    if len(seen) < count:
        sees = f"{len(seen)} ({', '.join(seen)})"
        raise BadInput(f"{what} and sees {sees}; mend what it sees, or its command")
    return seen[:count]


def device_of(unit: Running) -> str:
    """Return the first of the devices that a server is confined to."""
    return devices_of(unit)[0]


def devices_of(unit: Running) -> tuple[str, ...]:
    """Return the devices that a server is confined to: the first GPU, or cpu where it sees none.

    A container's own CUDA_VISIBLE_DEVICES counts from the devices that it was given.
    """
    options = () if unit.container is None else unit.container.options
    matches = [re.search(r"(?:gpus=.*?device=|gpu=)\"?([\w/,-]+)", o) for o in options]
    lists = map(_seen, (*(m[1] for m in matches if m), unit.env.get(NVIDIA_VISIBLE, "")))
    cards, own = next(filter(None, lists), ()), unit.env.get(VISIBLE)
    if own is None:
        return cards or (FIRST,)
    seen = _seen(own)
    if unit.container is not None and cards:
        inside = takewhile(lambda name: not name.isdecimal() or int(name) < len(cards), seen)
        seen = tuple(cards[int(name)] if name.isdecimal() else name for name in inside)
    return seen or (HOST,)


def _seen(names: str) -> tuple[str, ...]:
    """Return the devices that CUDA takes of a list: those before the first that is none.

    >>> _seen("02, 3,"), _seen("-1,0")
    (('2', '3'), ())
    """
    parts = takewhile(CARD.fullmatch, (part.strip() for part in names.split(",")))
    return tuple(str(int(part)) if part.isdecimal() else part for part in parts)


def _uuid(device: str) -> str:
    """Return the UUID of a device, so that two names of it are one; else its name."""
    with suppress(SetupError):
        return open_device(device).identity.uuid
    return INDEX if device == FIRST else device
