"""A compose file gives the command of each of its services, with the variables in it filled."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.bounded_yaml import BadYaml, construct, read_bytes
from study.bounded_yaml import compose as parsed
from study.init_spec.forms.command import Command, variables_of
from study.init_spec.forms.containers import Made, command_in, made, port_pair
from study.init_spec.forms.named_text import variables_of as env_file
from study.init_spec.forms.running import Container, Project
from study.init_spec.forms.words import Operator, Word, expanded, names_in, of_text, split

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
WITH_VALUE: tuple[str, ...] = (
    "-f",
    "--file",
    "-p",
    "--project-name",
    "--profile",
    "--env-file",
    "--ansi",
)
WITH_VALUE += ("--project-directory", "--progress", "--parallel")
WHOLE = ("command", "entrypoint")
UP_WITH_VALUE = ("--scale", "--timeout", "-t", "--exit-code-from", "--attach", "--pull")


@dataclass(frozen=True, slots=True)
class Asked:
    """Compose is asked for the services of these files.

    Args:
        files: The files; a later one is laid over those before.
        env_files: What their variables are read from; empty: `.env` beside the first.
        program: The command; empty: that which is on this machine.
        project: The project's name; empty: the usual one.
        is_attached: Whether who asks waits for the end.
        folder: Where the files are looked for.
    """

    files: tuple[Path, ...]
    env_files: tuple[Path, ...] = ()
    program: tuple[str, ...] = ()
    project: str = ""
    is_attached: bool = False
    folder: Path = Path()


def of_command(command: Command, words: Sequence[str]) -> Iterator[tuple[str, Command]]:
    """Yield each service that `docker compose -f FILE up NAME...` starts.

    Raises:
        BadInput: The file is not there, or not read.
    """
    first = Path(command.argv[0]).name
    program = (first,) if first.endswith("-compose") else (first, "compose")
    asked, left = _asked(command, program, words)
    if not asked.files:
        asked = replace(asked, files=(*_usual_files(asked.folder, dict(command.env)),))
    if not asked.files:
        raise BadInput(
            f"{asked.folder}: it has no {NAMES[0]}, which `{' '.join(command.argv)}` starts"
        )
    names: list[str] = []
    while left:
        word = left.pop(0)
        if word in UP_WITH_VALUE and left:
            left.pop(0)
        elif not word.startswith("-"):
            names.append(word)
    for name, inner in services(asked, dict(command.env)):
        if not names or name in names:
            yield name, replace(inner, plumbing=inner.plumbing | command.plumbing)


def _asked(
    command: Command, program: tuple[str, ...], words: Sequence[str]
) -> tuple[Asked, list[str]]:
    """Return what compose is asked for, and the words behind its verb."""
    asked, left = Asked((), program=program, folder=command.folder), [*words]
    while left and left[0].startswith("-"):
        option, is_joined, value = left.pop(0).partition("=")
        if option in WITH_VALUE and not is_joined and left:
            value = left.pop(0)
        match option:
            case "-f" | "--file":
                asked = replace(asked, files=(*asked.files, asked.folder / value))
            case "--env-file":
                asked = replace(asked, env_files=(*asked.env_files, asked.folder / value))
            case "--project-directory":
                asked = replace(asked, folder=asked.folder / value)
            case "-p" | "--project-name":
                asked = replace(asked, project=value)
    return replace(asked, is_attached=not {"-d", "--detach"} & {*left}), left[1:]


def of_file(file: Path) -> Iterator[tuple[str, Command]]:
    """Yield the services of a compose file, with those that compose lays over it.

    Raises:
        BadInput: One is not read.
    """
    usual = (*_usual_files(file.parent, None),)
    return services(Asked(usual if file in usual else (file,)))


def _usual_files(folder: Path, env: Mapping[str, str] | None) -> Iterator[Path]:
    """Yield the files that compose reads in a folder where none is named."""
    values = {**env_file(folder / ".env"), **(os.environ if env is None else env)}
    if given := values.get("COMPOSE_FILE"):
        sep = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        yield from (folder / name for name in given.split(sep) if name)
        return
    for name in [n for n in NAMES if (folder / n).is_file()][:1]:
        stem = Path(name).stem
        yield folder / name
        over = (folder / f"{stem}.override.{end}" for end in ("yaml", "yml"))
        yield from [file for file in over if file.is_file()][:1]


def services(asked: Asked, env: Mapping[str, str] | None = None) -> Iterator[tuple[str, Command]]:
    """Yield the services of compose files by name.

    Args:
        asked: The files.
        env: Variables that win over those of files; None: our own.

    Raises:
        BadInput: One is not read.
    """
    files = asked.files
    env_files = asked.env_files or (files[0].parent / ".env",)
    values: dict[str, str] = {}
    for file in env_files:
        values |= env_file(file)
    values |= os.environ if env is None else env
    merged: dict[str, Any] = {}
    for file in files:
        for name, service in _entries(file, "services").items():
            if isinstance(service, Mapping):
                merged[name] = _laid(merged.get(name, {}), _with_base(service, file))
    given = asked.project or values.get("COMPOSE_PROJECT_NAME")
    own_name = given or _text(_own_name(files[0]), values)
    project = re.sub(r"[^a-z0-9_-]", "", own_name.lower())
    options = [w for file in files for w in ("-f", str(file.absolute()))]
    options += [w for file in asked.env_files for w in ("--env-file", str(file.absolute()))]
    for name, service in merged.items():
        found = made(asked.program, project, name, None if given else files[0].absolute().parent)
        is_named = bool(asked.project) or found.project != project
        label = _text(service.get("container_name") or found.name, values)
        of = Project(
            words=(*found.words, *options, *(("-p", found.project) if is_named else ())),
            file=files[0],
            service=name,
            env_file=env_files[-1].absolute(),
            is_attached=asked.is_attached,
        )
        yield name, _command(replace(found, name=label), service, of, values)


def _own_name(file: Path) -> str:
    """Return the name of a file's project."""
    data = document(file)
    name = data.get("name") if isinstance(data, Mapping) else None
    return name if isinstance(name, str) else file.absolute().parent.name


def is_compose(path: Path) -> bool:
    """Tell whether a YAML file holds services of compose."""
    return any(
        "image" in s or "build" in s
        for s in _entries(path, "services").values()
        if isinstance(s, Mapping)
    )


def _entries(file: Path, key: str) -> Mapping[str, Any]:
    data = document(file)
    entries = data.get(key) if isinstance(data, Mapping) else None
    return entries if isinstance(entries, Mapping) else {}


def document(file: Path) -> object:
    """Return what a YAML file of one document holds.

    Raises:
        BadInput: It is not read.
    """
    try:
        return construct(parsed(read_bytes(file, links=True), aliases=True))
    except BadYaml as error:
        raise BadInput(
            f"{file}:{error.line}: {error.what}; mend it, for it is read here"
        ) from error


def _with_base(service: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """Return a service laid over what it extends."""
    base = service.get("extends")
    if isinstance(base, str):
        base = {"service": base}
    if not isinstance(base, Mapping):
        return service
    where = file.parent / str(base["file"]) if "file" in base else file
    other = _entries(where, "services").get(str(base.get("service")))
    if not isinstance(other, Mapping) or other is service:
        return service
    return _laid(other, {k: v for k, v in service.items() if k != "extends"})


def _laid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service laid over another, as compose does it: its lists get longer.

    >>> _laid({"environment": {"A": 1, "B": 2}, "ports": ["1:1"]}, {"environment": ["B=3"]})
    {'environment': ['A=1', 'B=2', 'B=3'], 'ports': ['1:1']}
    """
    laid = {**base}
    for key, new in over.items():
        old = base.get(key)
        if key == "environment" and old is not None:
            laid[key] = [*_lines(old), *_lines(new)]
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            laid[key] = _laid(old, new)
        elif isinstance(old, list) and isinstance(new, list) and key not in WHOLE:
            laid[key] = [*old, *new]
        elif new is not None:
            laid[key] = new
    return laid


def _lines(value: object) -> list[str]:
    """Return variables as a list of NAME=VALUE, or of a bare name."""
    if not isinstance(value, Mapping):
        return [str(item) for item in _list(value)]
    return [str(k) if v is None else f"{k}={_plain(v)}" for k, v in value.items()]


def _command(
    found: Made, service: Mapping[str, Any], project: Project, values: Mapping[str, str]
) -> Command:
    file = project.file
    folder = file.parent
    env: dict[str, str] = {}
    for entry in _list(service.get("env_file")):
        path = entry.get("path", "") if isinstance(entry, Mapping) else entry
        env |= env_file(folder / _text(path, values))
    read: set[str] = set()
    by_variable: dict[str, str] = {}
    for key, value in _pairs(service.get("environment"), values):
        word = of_text(str(value))
        read |= names_in(word)
        env[key] = "".join(expanded(word, values))
        if len(word) == 1 and word[0].name:
            by_variable[key] = word[0].name
    words = _words(service.get("command"))
    entry = None if service.get("entrypoint") is None else _words(service["entrypoint"])
    read |= {n for w in [*words, *(entry or [])] for n in names_in(w)}
    is_on_host = str(service.get("network_mode")) == "host"
    container = Container(
        program=found.engine,
        image=_text(service.get("image", f"(built by {file.name})"), values),
        name=found.name,
        options=tuple(_options(service, folder, values)),
        entrypoint=None if entry is None else tuple(_filled(entry, values)),
        command=tuple(_filled(words, values)),
        ports={} if is_on_host else dict(_ports(service.get("ports"), values)),
        compose=project,
        pid=found.pid,
    )
    begun = Command(
        (),
        variables={**variables_of(words, values), **by_variable},
        plumbing=frozenset(read),
        script=None,
    )
    return command_in(begun, container, env, Path(_text(service.get("working_dir", "/"), values)))


def _list(value: object) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _pairs(value: object, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield variables of a mapping, or of a list of NAME=VALUE; a bare name is the caller's own."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key), _plain(item) if item is not None else values.get(str(key), "")
    for item in _list(value) if not isinstance(value, Mapping) else ():
        name, is_given, text = str(item).partition("=")
        yield name, text if is_given else f"${{{name}}}"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _words(value: object) -> list[Word]:
    """Return the words of a command that is a list, or a text to split."""
    if isinstance(value, list):
        return [of_text(_plain(v)) for v in value]
    words = split(str(value), "compose") if value is not None else []
    return [w for w in words if not isinstance(w, Operator)]


def _filled(words: Sequence[Word], values: Mapping[str, str]) -> Iterator[str]:
    for word in words:
        yield from expanded(word, values)


def _text(value: object, values: Mapping[str, str]) -> str:
    return "".join(expanded(of_text(_plain(value)), values))


def _ports(value: object, values: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    for item in _list(value):
        if isinstance(item, Mapping):
            text = f"{item.get('published')}:{item.get('target')}"
        else:
            text = _plain(item)
        if (pair := port_pair(_text(text, values))) is not None:
            yield pair


def _options(service: Mapping[str, Any], folder: Path, values: Mapping[str, str]) -> Iterator[str]:
    """Yield what `run` needs for the same devices, volumes and memory."""
    yield from (f"--gpus={g}" for g in [gpus(service, values)] if g)
    for item in _list(service.get("devices")):
        yield f"--device={_text(item, values)}"
    for item in _list(service.get("volumes")):
        yield from _volume(item, folder, values)
    for key in ("ipc", "shm_size", "user", "runtime", "mem_limit", "cpus", "cpuset", "userns_mode"):
        if key in service:
            option = {"mem_limit": "memory", "cpuset": "cpuset-cpus", "userns_mode": "userns"}
            yield f"--{option.get(key, key).replace('_', '-')}={_text(service[key], values)}"
    for key in ("security_opt", "cap_add", "group_add", "tmpfs"):
        for item in _list(service.get(key)):
            yield f"--{key.replace('_', '-')}={_text(item, values)}"
    ulimits = service.get("ulimits")
    for key, limit in ulimits.items() if isinstance(ulimits, Mapping) else ():
        both = (limit.get("soft"), limit.get("hard")) if isinstance(limit, Mapping) else (limit,)
        yield f"--ulimit={key}={':'.join(map(str, both))}"
    if service.get("privileged") is True:
        yield "--privileged"


def _volume(item: object, folder: Path, values: Mapping[str, str]) -> Iterator[str]:
    if isinstance(item, Mapping):
        if item.get("type", "bind") not in ("bind", "volume") or "source" not in item:
            return
        read_only = ":ro" if item.get("read_only") else ""
        text = f"{item['source']}:{item.get('target')}{read_only}"
    else:
        text = str(item)
    source, _, target = _text(text, values).partition(":")
    if source.startswith("~"):
        source = str(Path(source).expanduser())
    if source.startswith("."):
        source = str((folder / source).resolve())
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
        return _text(own, values)
    entries: Any = own
    for key in ("deploy", "resources", "reservations", "devices") if own is None else ():
        entries = (service if key == "deploy" else entries or {}).get(key)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            ids = [_text(i, values) for i in _list(entry.get("device_ids"))]
            count = _text(entry.get("count", "all"), values)
            return f"device={','.join(ids)}" if ids else count
    return None
