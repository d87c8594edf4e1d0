"""A manifest of Kubernetes, or a configuration of supervisord, gives what it starts."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.deploy.targets.kubernetes import workloads
from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.containers import command_in
from study.init_spec.forms.named_text import whole_text_of
from study.init_spec.forms.running import Container
from study.init_spec.forms.words import plain_words


def is_manifest(path: Path) -> bool:
    """Tell whether a YAML file starts pods."""
    return next(workloads(path), None) is not None


def pods(path: Path) -> Iterator[tuple[str, UnitCommand]]:
    """Yield each container of a manifest by its name, with the workload's before it."""
    for workload in workloads(path):
        for entry in workload.containers:
            label = f"{workload.name}/{entry.get('name', '')}"
            yield label, _command(entry, (path.absolute(), label))


def _command(entry: Mapping[str, Any], manifest: tuple[Path, str]) -> UnitCommand:
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
        manifest=manifest,
        entrypoint=None if own is None else filled(own),
        command=filled(entry.get("args")),
        ports={
            p["containerPort"]: p["containerPort"]
            for p in entry.get("ports") or []
            if isinstance(p, Mapping) and isinstance(p.get("containerPort"), int)
        },
    )
    folder = Path(str(entry.get("workingDir", "/")))
    return command_in(UnitCommand(()), container, env, folder)


def programs(path: Path) -> Iterator[tuple[str, UnitCommand]]:
    """Yield each program of a configuration of supervisord.

    Raises:
        BadInput: It is not read.
    """
    reader = configparser.RawConfigParser(inline_comment_prefixes=(";",), strict=False)
    try:
        reader.read_string(whole_text_of(path))
    except configparser.Error as error:
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
            words = tuple(plain_words(text))
            yield (
                name,
                replace(UnitCommand(words), env=env, folder=Path(values.get("directory", "/"))),
            )
