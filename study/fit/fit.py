"""A fit says which cells of a spec's space would start, on the device here or on a named one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

from objectives.allocation import MEMORY, OF_MEMORY, RESIDENT, SHARE, SPEECH, Allocation
from objectives.devices.device_set import Room
from objectives.engines.every import version_in
from objectives.errors import SetupError
from objectives.fit.cell import Cell, Host
from objectives.servers.versions import Versions
from objectives.services import LlmService, Services
from objectives.setting import Setting
from study.fit.by_files import ByFiles, by_files
from study.fit.device_sets import undivided
from study.fit.hosts import hosts_in, hosts_of
from study.spec.memory.on_device import on_device
from study.spec.model import Spec

MOST_CELLS = 2000
NO_MEMORY = ("whisper.beam_size", "whisper.language", "whisper.threads", "whisper.max_new_tokens")


@dataclass(frozen=True, slots=True)
class Fit:
    """A fit is the answer of the files.

    Args:
        files: The files of its models, as they were read.
        cells: What they say of each allocation whose memory is another.
        notes: What else a person must know.
    """

    files: ByFiles
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
    hosts, version, notes = hosts_of(spec, card_name, total_mib)
    host = next(iter(hosts.values()))
    spec = on_device(spec, host.total_mib, host.product)
    model_files = _files_of(spec, spec.services, hosts, version)
    if sentences := undivided(_with_folder(spec.services, model_files.folder), spec.places):
        raise SetupError("; ".join(sentences))
    notes += model_files.unknown(spec.baseline)
    allocations: Iterable[Allocation] = [spec.baseline]
    if spec.search_space.size is None:
        notes.append("the space has a continuous range: the baseline alone is shown")
    else:
        allocations = itertools.islice(spec.search_space.grid(), MOST_CELLS)
        if spec.search_space.size > MOST_CELLS:
            notes.append(f"the first {MOST_CELLS:,} of {spec.search_space.size:,} are looked at")
    distinct = {memory_key(a): a for a in reversed(list(allocations))}
    cells = tuple(model_files.cell(a) for a in reversed(distinct.values()))
    return Fit(model_files, cells, tuple(notes))


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
        return _files_of(spec, setting.services, hosts, version_in(setting.services, versions)), ""
    except SetupError as error:
        return None, str(error)


def _with_folder(services: Services, folder: Path) -> Services:
    """Return the services with the LLM's model where it lies."""
    return {
        name: replace(s, model=str(folder)) if isinstance(s, LlmService) else s
        for name, s in services.items()
    }


def _files_of(
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
