"""A service of compose becomes the command in its container, with what `run` would need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from study.init_spec.forms.command import UnitCommand, variables_of
from study.init_spec.forms.compose.texts import (
    filled,
    items_of,
    pairs_of,
    plain,
    text_of,
    words_of,
)
from study.init_spec.forms.containers import Made, command_in, port_pair
from study.init_spec.forms.expansion import Blank, blanks_in, blanks_of, expanded, in_home, names_in
from study.init_spec.forms.named_text import variables_of as env_file
from study.init_spec.forms.running import Container, Project
from study.init_spec.forms.words import of_text

OF_TEXT = ("image", "volumes", "devices", "gpus", "deploy")  # keys of which words of ours are made


def command_of(
    made: Made,
    service: Mapping[str, Any],
    project: Project,
    values: Mapping[str, str],
    volumes: Mapping[str, str],
) -> UnitCommand:
    """Return a service as the command that runs in its container.

    Args:
        made: The container, as it is there or would be made.
        service: Its entry, with what it extends.
        project: The files that it is in.
        values: The variables that are filled in.
        volumes: The engine's name of each named volume.
    """
    folder = project.file.parent
    env: dict[str, str] = {}
    entries = items_of(service.get("env_file"))
    paths = [e.get("path", "") if isinstance(e, Mapping) else e for e in entries]
    files = [folder / text_of(path, values) for path in paths]
    for file in files:
        env |= env_file(file)
    blanks: list[Blank] = []
    read: set[str] = set()
    by_variable: dict[str, str] = {}
    for key, value in pairs_of(service.get("environment"), values):
        word = of_text(str(value))
        read |= names_in(word)
        blanks += blanks_of(word, values, key)
        env[key] = "".join(expanded(word, values))
        if len(word) == 1 and word[0].name:
            by_variable[key] = word[0].name
    words = words_of(service.get("command"))
    entry = None if service.get("entrypoint") is None else words_of(service["entrypoint"])
    blanks += [b for own in (words, entry or []) for b in blanks_in(own, values)]
    for key in OF_TEXT:
        blanks += blanks_of(of_text(str(service.get(key, ""))), values, f"{key}:")
    read |= {n for w in [*words, *(entry or [])] for n in names_in(w)}
    is_on_host = str(service.get("network_mode")) == "host"
    container = Container(
        program=made.engine,
        image=text_of(service.get("image", f"(built by {project.file.name})"), values),
        name=made.name,
        options=tuple(_options(service, folder, values, volumes)),
        entrypoint=None if entry is None else tuple(filled(entry, values)),
        command=tuple(filled(words, values)),
        ports={} if is_on_host else dict(_ports(service.get("ports"), values)),
        compose=project,
        pid=made.pid,
    )
    begun = UnitCommand(
        (),
        variables={**variables_of(words, values), **by_variable},
        plumbing=frozenset(read),
        blanks=tuple(blanks),
        env_files=(project.env_file, *files),
    )
    return command_in(begun, container, env, Path(text_of(service.get("working_dir", "/"), values)))


def _ports(value: object, values: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    for item in items_of(value):
        if isinstance(item, Mapping):
            text = f"{item.get('published')}:{item.get('target')}"
        else:
            text = plain(item)
        if (pair := port_pair(text_of(text, values))) is not None:
            yield pair


def _options(
    service: Mapping[str, Any],
    folder: Path,
    values: Mapping[str, str],
    volumes: Mapping[str, str],
) -> Iterator[str]:
    """Yield what `run` needs for the same devices, volumes and memory."""
    yield from (f"--gpus={g}" for g in [gpus(service, values)] if g)
    for item in items_of(service.get("devices")):
        yield f"--device={text_of(item, values)}"
    for item in items_of(service.get("volumes")):
        yield from _volume(item, folder, values, volumes)
    for key in ("ipc", "shm_size", "user", "runtime", "mem_limit", "cpus", "cpuset", "userns_mode"):
        if key in service:
            option = {"mem_limit": "memory", "cpuset": "cpuset-cpus", "userns_mode": "userns"}
            yield f"--{option.get(key, key).replace('_', '-')}={text_of(service[key], values)}"
    for key in ("security_opt", "cap_add", "group_add", "tmpfs"):
        for item in items_of(service.get(key)):
            yield f"--{key.replace('_', '-')}={text_of(item, values)}"
    ulimits = service.get("ulimits")
    for key, limit in ulimits.items() if isinstance(ulimits, Mapping) else ():
        both = (limit.get("soft"), limit.get("hard")) if isinstance(limit, Mapping) else (limit,)
        yield f"--ulimit={key}={':'.join(map(str, both))}"
    if service.get("privileged") is True:
        yield "--privileged"


def volume_names(
    entries: Mapping[str, Any], project: str, values: Mapping[str, str]
) -> dict[str, str]:
    """Return what an engine calls each named volume of a project.

    >>> entries = {"a": None, "b": {"name": "${B}"}, "c": {"external": True}}
    >>> volume_names(entries, "own", {"B": "bb"})
    {'a': 'own_a', 'b': 'bb', 'c': 'c'}
    >>> volume_names({"d": {"external": {"name": "old"}}}, "own", {})
    {'d': 'old'}
    """
    names = {}
    for key, entry in entries.items():
        own = entry if isinstance(entry, Mapping) else {}
        outside = own.get("external")
        given = own.get("name") or (outside.get("name") if isinstance(outside, Mapping) else None)
        is_outside = outside not in (None, False)
        names[key] = text_of(given, values) if given else key if is_outside else f"{project}_{key}"
    return names


def _volume(
    item: object, folder: Path, values: Mapping[str, str], volumes: Mapping[str, str]
) -> Iterator[str]:
    if isinstance(item, Mapping):
        if item.get("type", "bind") not in ("bind", "volume") or "source" not in item:
            return
        read_only = ":ro" if item.get("read_only") else ""
        text = f"{item['source']}:{item.get('target')}{read_only}"
    else:
        text = str(item)
    source, _, target = text_of(text, values).partition(":")
    source = in_home(source, values)
    if source.startswith("."):
        source = str((folder / source).resolve())
    source = volumes.get(source, source)
    yield f"--volume={source}:{target}" if target else f"--volume={source}"


def gpus(service: Mapping[str, Any], values: Mapping[str, str]) -> str | None:
    """Return what `--gpus` would say: all, a count, or `device=0`; None without a GPU.

    >>> gpus({"gpus": "all"}, {})
    'all'
    >>> device = {"driver": "nvidia", "device_ids": ["1"], "capabilities": ["gpu"]}
    >>> gpus({"deploy": {"resources": {"reservations": {"devices": [device]}}}}, {})
    'device=1'
    """
    own: Any = service.get("gpus")
    if isinstance(own, str | int):
        return text_of(own, values)
    entries: Any = own
    for key in ("deploy", "resources", "reservations", "devices") if own is None else ():
        entries = (service if key == "deploy" else entries or {}).get(key)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            ids = [text_of(i, values) for i in items_of(entry.get("device_ids"))]
            count = text_of(entry.get("count", "all"), values)
            return f"device={','.join(ids)}" if ids else count
    return None
