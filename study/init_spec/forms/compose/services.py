"""The services that a compose file, or a call of compose, starts become commands."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.init_spec.caller import own_variables
from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.compose.files import (
    NAMES,
    entries_of,
    laid,
    own_name,
    usual_files,
    with_base,
)
from study.init_spec.forms.compose.service import command_of, volume_names
from study.init_spec.forms.compose.texts import text_of
from study.init_spec.forms.containers import made
from study.init_spec.forms.named_text import variables_of
from study.init_spec.forms.running import Project

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
UP_WITH_VALUE = ("--scale", "--timeout", "-t", "--exit-code-from", "--attach", "--pull")


@dataclass(frozen=True, slots=True)
class ComposeCall:
    """A call of compose starts the services of these files.

    Args:
        files: The files; a later one is laid over those before.
        env_files: What their variables are read from; empty: `.env` beside the first.
        program: The command; empty: that which is on this machine.
        project: The project's name; empty: the usual one.
        is_attached: Whether the caller waits for the end.
        folder: Where the files are looked for.
    """

    files: tuple[Path, ...]
    env_files: tuple[Path, ...] = ()
    program: tuple[str, ...] = ()
    project: str = ""
    is_attached: bool = False
    folder: Path = Path()


def of_command(command: UnitCommand, words: Sequence[str]) -> Iterator[tuple[str, UnitCommand]]:
    """Yield each service that `docker compose -f FILE up NAME...` starts.

    Raises:
        BadInput: The file is not there, or not read.
    """
    first = Path(command.argv[0]).name
    program = (first,) if first.endswith("-compose") else (first, "compose")
    call, left = _call_of(command, program, words)
    if not call.files:
        call = replace(call, files=(*usual_files(call.folder, dict(command.env)),))
    if not call.files:
        raise BadInput(
            f"{call.folder}: it has no {NAMES[0]}, which `{' '.join(command.argv)}` starts"
        )
    names: list[str] = []
    while left:
        word = left.pop(0)
        if word in UP_WITH_VALUE and left:
            left.pop(0)
        elif not word.startswith("-"):
            names.append(word)
    for name, inner in services(call, dict(command.env)):
        if not names or name in names:
            yield name, replace(inner, plumbing=inner.plumbing | command.plumbing)


def _call_of(
    command: UnitCommand, program: tuple[str, ...], words: Sequence[str]
) -> tuple[ComposeCall, list[str]]:
    """Return the call that a command is, and the words behind its verb."""
    call, left = ComposeCall((), program=program, folder=command.folder), [*words]
    while left and left[0].startswith("-"):
        option, is_joined, value = left.pop(0).partition("=")
        if option in WITH_VALUE and not is_joined and left:
            value = left.pop(0)
        match option:
            case "-f" | "--file":
                call = replace(call, files=(*call.files, call.folder / value))
            case "--env-file":
                call = replace(call, env_files=(*call.env_files, call.folder / value))
            case "--project-directory":
                call = replace(call, folder=call.folder / value)
            case "-p" | "--project-name":
                call = replace(call, project=value)
    return replace(call, is_attached=not {"-d", "--detach"} & {*left}), left[1:]


def of_file(file: Path) -> Iterator[tuple[str, UnitCommand]]:
    """Yield the services of a compose file, with those that compose lays over it.

    Raises:
        BadInput: One is not read.
    """
    usual = (*usual_files(file.parent, None),)
    return services(ComposeCall(usual if file in usual else (file,)))


def services(
    call: ComposeCall, env: Mapping[str, str] | None = None
) -> Iterator[tuple[str, UnitCommand]]:
    """Yield the services of compose files by name.

    Args:
        call: The call that would start them.
        env: Variables that win over those of files; None: our own.

    Raises:
        BadInput: One is not read.
    """
    files = call.files
    env_files = call.env_files or (files[0].parent / ".env",)
    values: dict[str, str] = {}
    for file in env_files:
        values |= variables_of(file)
    values |= own_variables() if env is None else env
    merged: dict[str, Any] = {}
    volumes: dict[str, Any] = {}
    for file in files:
        volumes = laid(volumes, {k: v or {} for k, v in entries_of(file, "volumes").items()})
        for name, service in entries_of(file, "services").items():
            if isinstance(service, Mapping):
                merged[name] = laid(merged.get(name, {}), with_base(service, file))
    project_name = call.project or values.get("COMPOSE_PROJECT_NAME")
    named = project_name or text_of(own_name(files[0]), values)
    project = re.sub(r"[^a-z0-9_-]", "", named.lower()).lstrip("_-")
    options = [w for file in files for w in ("-f", str(file.absolute()))]
    options += [w for file in call.env_files for w in ("--env-file", str(file.absolute()))]
    for name, service in merged.items():
        container = made(
            call.program, project, name, None if project_name else files[0].absolute().parent
        )
        is_named = bool(call.project) or container.project != project
        label = text_of(service.get("container_name") or container.name, values)
        of = Project(
            words=(*container.words, *options, *(("-p", container.project) if is_named else ())),
            file=files[0],
            service=name,
            env_file=env_files[-1].absolute(),
            is_attached=call.is_attached,
        )
        own = volume_names(volumes, container.project, values)
        yield name, command_of(replace(container, name=label), service, of, values, own)
