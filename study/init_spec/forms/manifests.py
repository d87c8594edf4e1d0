"""A manifest of Kubernetes, or a configuration of supervisord, gives what it starts."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.bounded_yaml import BadYaml, construct, read_bytes
from study.bounded_yaml import compose as parsed
from study.init_spec.forms.command import Command
from study.init_spec.forms.containers import command_in
from study.init_spec.forms.running import Container

KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Pod", "ReplicaSet", "Job")


def documents(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the documents of a YAML file that are mappings.

    Raises:
        BadInput: It is not read.
    """
    try:
        text = read_bytes(path, links=True).decode("utf-8-sig", errors="replace")
        for part in re.split(r"(?m)^---\s*$", text):
            data = construct(parsed(part.encode(), aliases=True))
            if isinstance(data, Mapping):
                yield data
    except BadYaml as error:
        raise BadInput(
            f"{path}:{error.line}: {error.what}; mend it, for it is read here"
        ) from error


def is_manifest(path: Path) -> bool:
    """Tell whether a YAML file starts pods."""
    return any(d.get("kind") in KINDS for d in documents(path))


def pods(path: Path) -> Iterator[tuple[str, Command]]:
    """Yield each container of a manifest by its name, with the workload's before it."""
    for data in documents(path):
        if data.get("kind") not in KINDS:
            continue
        spec: Any = data.get("spec") or {}
        template = spec.get("template")
        spec = (template or {}).get("spec") or {} if template is not None else spec
        name = (data.get("metadata") or {}).get("name", "")
        for entry in spec.get("containers") or []:
            if isinstance(entry, Mapping):
                yield f"{name}/{entry.get('name', '')}", _command(entry)


def _command(entry: Mapping[str, Any]) -> Command:
    env = {
        str(e["name"]): str(e.get("value", ""))
        for e in entry.get("env") or []
        if isinstance(e, Mapping) and "valueFrom" not in e
    }

    def filled(words: object) -> tuple[str, ...]:
        texts = [str(w) for w in words] if isinstance(words, list) else []
        return tuple(re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), t) for t in texts)

    own = entry.get("command")
    container = Container(
        program="kubectl",
        image=str(entry.get("image", "")),
        name=str(entry.get("name", "")),
        entrypoint=None if own is None else filled(own),
        command=filled(entry.get("args")),
        ports={
            p["containerPort"]: p["containerPort"]
            for p in entry.get("ports") or []
            if isinstance(p, Mapping) and isinstance(p.get("containerPort"), int)
        },
    )
    folder = Path(str(entry.get("workingDir", "/")))
    return command_in(Command(()), container, env, folder)


def programs(path: Path) -> Iterator[tuple[str, Command]]:
    """Yield each program of a configuration of supervisord.

    Raises:
        BadInput: It is not read.
    """
    reader = configparser.RawConfigParser(inline_comment_prefixes=(";",), strict=False)
    try:
        reader.read_string(path.read_text(errors="replace"))
    except (OSError, configparser.Error) as error:
        raise BadInput(f"{path}: it is not read ({type(error).__name__}); mend it") from error
    for section in reader.sections():
        kind, _, name = section.partition(":")
        if kind == "program" and reader.has_option(section, "command"):
            values = dict(reader.items(section))
            pairs = re.findall(r'(\w+)=("[^"]*"|\'[^\']*\'|[^,]*)', values.get("environment", ""))
            env = {n: v.strip("\"'") for n, v in pairs}
            text = values["command"].replace("\n", " ")
            for key, value in env.items():
                text = text.replace(f"%(ENV_{key})s", value)
            words = tuple(shlex.split(text))
            yield name, replace(Command(words), env=env, folder=Path(values.get("directory", "/")))
