"""This module finds the servers' versions, whether they fit the driver, and models in the cache."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from objectives.devices.device import Device
from objectives.devices.device_set import DeviceSet, first_name, label
from objectives.engines.places import Place
from objectives.engines.registry import in_order
from objectives.errors import SetupError
from objectives.plain_data.spellable import spellable
from objectives.services import Services

ASK = (
    "import importlib.metadata as m, json, sys\n"
    "versions = {}\n"
    "for name in sys.argv[1:]:\n"
    "    try: versions[name] = m.version(name)\n"
    "    except m.PackageNotFoundError: pass\n"
    "print(json.dumps(versions))"
)


Versions = Mapping[str, Mapping[str, str]]  # by service, then by package


def versions(services: Services) -> Versions:
    """Return the versions in each interpreter, or that a program tells of itself.

    A server of a command template has none.

    Raises:
        SetupError: The package or program that should serve is not there.
    """
    by_service: dict[str, dict[str, str]] = {}
    for engine in in_order(services):
        service, packages = engine.service, dict[str, str]()
        if service.command is None and engine.version_command:
            program = engine.version_command[0].rpartition("/")[2]
            packages = {program: program_version(engine.version_command)}
        elif service.command is None:
            packages = installed(service.python, engine.packages)
            if lack := engine.lack(packages):
                raise SetupError(lack)
        by_service[engine.name] = packages
    return by_service


def installed(python: str, packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those packages that another interpreter has, by name.

    Raises:
        SetupError: The interpreter does not run.
    """
    try:
        answer = subprocess.run(
            [python, "-c", ASK, *packages], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"the interpreter {python} does not run: {error}") from error
    try:  # what else it prints, as at its start, comes before
        by_name: dict[str, str] = json.loads(answer.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise SetupError(f"the interpreter {python} prints no versions") from error
    return by_name


def program_version(command: Sequence[str]) -> str:
    """Return what a program says of its version: the first line that has a number.

    Raises:
        SetupError: It does not run, or says nothing.
    """
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, errors="replace"
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SetupError(f"the program {command[0]} does not run: {error}") from error
    lines = (answer.stdout + "\n" + answer.stderr).splitlines()
    version = next((line.strip() for line in lines if re.search(r"\d", line)), None)
    if version is None:
        raise SetupError(f"`{' '.join(command)}` tells no version")
    return spellable(version.removeprefix("version:").strip())[:100]


def misfits(device: Device, services: Services, by_service: Versions) -> list[str]:
    """Return sentences about what does not fit; none where all is well or cannot be known."""
    driver = device.identity.driver
    if driver is None:
        return []
    sentences = (e.misfit(by_service[e.name], driver) for e in in_order(services))
    return [sentence for sentence in sentences if sentence]


def unable(
    devices: DeviceSet, services: Services, places: Mapping[str, Sequence[Place]]
) -> list[str]:
    """Return sentences about what an engine cannot do on the card where it is placed.

    Args:
        devices: The devices by name, the LLM's first.
        services: The servers.
        places: Where each service may run; none for the first device.
    """
    first, sentences = Place(first_name(devices)), list[str]()
    for engine in in_order(services):
        here = places.get(engine.name) or (first,)
        for device, precision in dict.fromkeys((d, p.precision) for p in here for d in p.devices):
            compute = devices[device].compute
            why = None if compute is None else engine.unable(compute, precision)
            if why is not None:
                card = devices[device].identity.product
                named = label(device, devices)
                name = f" ({named})" if named else ""
                sentences.append(f"{card}{name} has compute capability {compute:g}: {why}")
    return sentences


def resolved(services: Services) -> Services:
    """Return the same services with hub ids replaced by folders of the local cache.

    Raises:
        SetupError: A model is not there; the message has the command that downloads it.
    """
    return {e.name: e.with_folders(model_folder) for e in in_order(services)}


def model_folder(model: str) -> str:
    """Return a folder as it is, and that of a hub model from the local cache.

    Raises:
        SetupError: It is not there.
    """
    return model if Path(model).is_dir() else cached(model)


def cached(hub_id: str) -> str:
    """Return the folder of a hub model in the local cache, without the network.

    Raises:
        SetupError: It is not there.
    """
    from huggingface_hub import snapshot_download  # noqa: PLC0415  0.3 s that only hub ids pay
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return str(snapshot_download(hub_id, local_files_only=True))
    except (LocalEntryNotFoundError, OSError) as error:
        raise SetupError(
            f"the model {hub_id} is not on this machine; "
            f"download it first: `hf download {hub_id}`, or name a folder"
        ) from error
