"""The files of compose are read, with what a service extends and what is laid over it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.bounded_yaml import BadYaml, compose, construct, read_bytes
from study.init_spec.forms.compose.texts import lines_of
from study.init_spec.forms.named_text import variables_of

NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
WHOLE = ("command", "entrypoint")


def usual_files(folder: Path, env: Mapping[str, str] | None) -> Iterator[Path]:
    """Yield the files that compose reads in a folder where none is named."""
    values = {**variables_of(folder / ".env"), **(os.environ if env is None else env)}
    if paths := values.get("COMPOSE_FILE"):
        sep = values.get("COMPOSE_PATH_SEPARATOR") or os.pathsep
        yield from (folder / name for name in paths.split(sep) if name)
        return
    for name in [n for n in NAMES if (folder / n).is_file()][:1]:
        stem = Path(name).stem
        yield folder / name
        over = (folder / f"{stem}.override.{end}" for end in ("yaml", "yml"))
        yield from [file for file in over if file.is_file()][:1]


def own_name(file: Path) -> str:
    """Return the name of a file's project."""
    data = document(file)
    name = data.get("name") if isinstance(data, Mapping) else None
    return name if isinstance(name, str) else file.absolute().parent.name


def is_compose(path: Path) -> bool:
    """Tell whether a YAML file holds services of compose."""
    return any(
        "image" in s or "build" in s
        for s in entries_of(path, "services").values()
        if isinstance(s, Mapping)
    )


def entries_of(file: Path, key: str) -> Mapping[str, Any]:
    """Return what a file has under a key, by name; empty where that is no mapping."""
    data = document(file)
    entries = data.get(key) if isinstance(data, Mapping) else None
    return entries if isinstance(entries, Mapping) else {}


def document(file: Path) -> object:
    """Return what a YAML file of one document holds.

    Raises:
        BadInput: It is not read.
    """
    try:
        return construct(compose(read_bytes(file, links=True), aliases=True))
    except BadYaml as error:
        raise BadInput(
            f"{file}:{error.line}: {error.what}; mend it, for it is read here"
        ) from error


def with_base(service: Mapping[str, Any], file: Path) -> Mapping[str, Any]:
    """Return a service laid over what it extends."""
    base = service.get("extends")
    if isinstance(base, str):
        base = {"service": base}
    if not isinstance(base, Mapping):
        return service
    where = file.parent / str(base["file"]) if "file" in base else file
    other = entries_of(where, "services").get(str(base.get("service")))
    if not isinstance(other, Mapping) or other is service:
        return service
    return laid(other, {k: v for k, v in service.items() if k != "extends"})


def laid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a service laid over another, as compose does it: its lists get longer.

    >>> laid({"environment": {"A": 1, "B": 2}, "ports": ["1:1"]}, {"environment": ["B=3"]})
    {'environment': ['A=1', 'B=2', 'B=3'], 'ports': ['1:1']}
    """
    whole = {**base}
    for key, new in over.items():
        old = base.get(key)
        if key == "environment" and old is not None:
            whole[key] = [*lines_of(old), *lines_of(new)]
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            whole[key] = laid(old, new)
        elif isinstance(old, list) and isinstance(new, list) and key not in WHOLE:
            whole[key] = [*old, *new]
        elif new is not None:
            whole[key] = new
    return whole
