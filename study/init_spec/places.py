"""The devices of the servers that run today, by what confines each of them to one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from objectives.devices.open_device import open_device
from objectives.engines.places import HOST
from objectives.errors import SetupError
from study.init_spec.forms.running import Running
from study.init_spec.roles import Services

FIRST, INDEX = "cuda", "0"  # a server that nothing confines takes the first GPU
UUIDS = ("GPU-", "MIG-")


@dataclass(frozen=True, slots=True)
class Places:
    """The places say where each server runs today.

    Args:
        main: The LLM's device.
        devices: All of them by name, the LLM's first; none where there is one.
        by_service: The name of each service's device; none where there is one.
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
    """
    main = device or device_of(found.llm.running)
    if main == HOST:
        return Places(main, {}, {})
    on_cpu = found.stt.device == HOST
    others = {"stt": HOST if on_cpu else device_of(found.stt.running)}
    others |= {b.name: device_of(b.running) for b in found.beside}
    names, by_service, notes = {_uuid(main): "gpu0"}, {"llm": "gpu0"}, list[str]()
    devices = {"gpu0": main}
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


def device_of(unit: Running) -> str:
    """Return the device that a server is confined to: the first GPU, or cpu where it sees none.

    A container's own CUDA_VISIBLE_DEVICES counts from the devices that it was given.
    """
    names = [unit.env.get("NVIDIA_VISIBLE_DEVICES", ""), unit.env.get("CUDA_VISIBLE_DEVICES", "")]
    if unit.env.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return HOST
    if unit.container is not None:
        given = [
            re.search(r"(?:gpus=.*?device=|gpu=)\"?([\w/-]+)", o) for o in unit.container.options
        ]
        names = [*(m[1] for m in given if m), names[0]]
    names = [n for n in names if re.fullmatch(r"[0-9]{1,3}|(GPU|MIG)-[0-9A-Za-z/-]+", n)]
    return names[0] if names else FIRST


def _uuid(device: str) -> str:
    """Return the UUID of a device, so that two names of it are one; else its name."""
    with suppress(SetupError):
        return open_device(device).identity.uuid
    return INDEX if device == FIRST else device
