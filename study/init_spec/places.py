"""The devices of the servers that run today, by what confines each of them to one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from objectives.devices.open_device import open_device
from objectives.engines.engine import LLM_ENGINES
from objectives.engines.llm_server import USUAL
from objectives.engines.places import AND, HOST
from objectives.errors import BadInput, SetupError
from objectives.services import LlmService
from study.init_spec.forms.running import Running
from study.init_spec.roles import Services
from study.init_spec.servers.llm_unit import Llm

FIRST, INDEX = "cuda", "0"  # a server that nothing confines takes the first GPU
UUIDS = ("GPU-", "MIG-")
DEVICE = re.compile(r"[0-9]{1,3}|(GPU|MIG)-[0-9A-Za-z/-]+")


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


def places_of(found: Services, device: str | None) -> Places:
    """Return where the servers run.

    Args:
        found: The servers.
        device: The LLM's device, where a person has named it; then the others are there too,
            unless they are on the CPU.

    Raises:
        BadInput: The LLM is spread over more devices than it sees, or a person has named one.
    """
    main, *more = _of_the_llm(found.llm, device)
    if main == HOST:
        return Places(main, {}, {})
    on_cpu = found.stt.device == HOST
    others = {"stt": HOST if on_cpu else device_of(found.stt.running)}
    others |= {b.name: device_of(b.running) for b in found.beside}
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
        said = engine.spread_by({})
        count = max((n for option, n in said if option in engine.of_its_set), default=1)
    if device is not None and count > 1:
        what = f"{llm.running.unit} is spread over {count} cards"
        raise BadInput(f"{what}, and --device names one; leave --device out")
    if device is not None or seen == (HOST,):
        return (device or HOST,)
    if seen == (FIRST,) and count > 1:
        return tuple(map(str, range(count)))
    if len(seen) < count:
        what = f"{llm.running.unit} is spread over {count} cards and sees {len(seen)}"
        raise BadInput(f"{what} ({', '.join(seen)}); mend what it sees, or its command")
    return seen[:count]


def device_of(unit: Running) -> str:
    """Return the first of the devices that a server is confined to."""
    return devices_of(unit)[0]


def devices_of(unit: Running) -> tuple[str, ...]:
    """Return the devices that a server is confined to: the first GPU, or cpu where it sees none.

    A container's own CUDA_VISIBLE_DEVICES counts from the devices that it was given.
    """
    names = [unit.env.get("NVIDIA_VISIBLE_DEVICES", ""), unit.env.get("CUDA_VISIBLE_DEVICES", "")]
    if unit.env.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return (HOST,)
    if unit.container is not None:
        given = [
            re.search(r"(?:gpus=.*?device=|gpu=)\"?([\w/,-]+)", o) for o in unit.container.options
        ]
        names = [*(m[1] for m in given if m), names[0]]
    lists = (tuple(part.strip() for part in n.split(",")) for n in names)
    return next((of for of in lists if all(map(DEVICE.fullmatch, of))), (FIRST,))


def _uuid(device: str) -> str:
    """Return the UUID of a device, so that two names of it are one; else its name."""
    with suppress(SetupError):
        return open_device(device).identity.uuid
    return INDEX if device == FIRST else device
