"""Compose is asked, by a file or a command, for services, and each becomes a command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.init_spec.forms.command import Command
from study.init_spec.forms.compose.files import (
    NAMES,
    entries_of,
    laid,
    own_name,
    usual_files,
    with_base,
)
from study.init_spec.forms.compose.service import command_of
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
        asked = replace(asked, files=(*usual_files(asked.folder, dict(command.env)),))
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
    usual = (*usual_files(file.parent, None),)
    return services(Asked(usual if file in usual else (file,)))


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
        values |= variables_of(file)
    values |= os.environ if env is None else env
    merged: dict[str, Any] = {}
    for file in files:
        for name, service in entries_of(file, "services").items():
            if isinstance(service, Mapping):
                merged[name] = laid(merged.get(name, {}), with_base(service, file))
    given = asked.project or values.get("COMPOSE_PROJECT_NAME")
    named = given or text_of(own_name(files[0]), values)
    project = re.sub(r"[^a-z0-9_-]", "", named.lower())
    options = [w for file in files for w in ("-f", str(file.absolute()))]
    options += [w for file in asked.env_files for w in ("--env-file", str(file.absolute()))]
    for name, service in merged.items():
        found = made(asked.program, project, name, None if given else files[0].absolute().parent)
        is_named = bool(asked.project) or found.project != project
        label = text_of(service.get("container_name") or found.name, values)
        of = Project(
            words=(*found.words, *options, *(("-p", found.project) if is_named else ())),
            file=files[0],
            service=name,
            env_file=env_files[-1].absolute(),
            is_attached=asked.is_attached,
        )
        yield name, command_of(replace(found, name=label), service, of, values)
