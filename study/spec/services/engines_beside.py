"""This module reads which engine serves a service beside the turn, and what that needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from objectives.engines.registry import (
    LLM_ENGINES,
    OTHER_ENGINES,
    SPEECH_ENGINES,
    engines_beside,
    other_engine,
)
from objectives.services import OtherService
from study.spec.files import MODEL_KINDS, interpreter, model_at, program_at
from study.spec.yaml_node import YamlEntry
from study.text import meant

OF_ENGINES = ("python", "program", "model", "args")

ENGINES = tuple(filter(None, dict.fromkeys((*LLM_ENGINES, *OTHER_ENGINES, *SPEECH_ENGINES))))


def check_engine(entry: YamlEntry, name: str, service: OtherService, named: str) -> None:
    """Refuse an engine that is not known, or one beside a template.

    Args:
        entry: The service's.
        name: Its name.
        service: What it says.
        named: Its engine as it is written, which may be one that a template starts.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    known = engines_beside(service.api)
    if service.engine in ENGINES and service.engine not in known:
        way_out = " or ".join((*(f"`engine: {name}`" for name in known), "a `command:`"))
        raise entry.at("api").wrong(
            f"{service.engine} does not speak {service.api}", f"name {way_out}, or another api"
        )
    if service.engine and service.engine not in known:
        raise entry.at("engine").wrong(
            f"unknown engine {service.engine!r}",
            f"{meant(service.engine, known or ENGINES)}, or a `command:`",
        )
    if not service.engine:
        if service.command is None:
            raise entry.at("command").wrong("it is missing", "write how the service is started")
        what, way_out = "only an engine has it", "name `engine:`, or remove it"
        if named:
            what, way_out = f"{named} is started by its `command:`", "write it there"
        for key in OF_ENGINES:
            if entry.at(key).is_present:
                raise entry.at(key).wrong(what, way_out)
        return
    engine = other_engine(service, name)
    if service.command is not None:
        raise entry.at("command").wrong(f"{service.engine} has its own", "remove one of them")
    if not service.model:
        raise entry.at("model").wrong("it is missing", f"name {MODEL_KINDS[engine.model_kind]}")
    has_program = bool(engine.program)
    for key in ("python",) if has_program else ("program",):
        if entry.at(key).is_present:
            other = "program" if has_program else "python"
            raise entry.at(key).wrong(f"{service.engine} has none", f"name its `{other}:`")


def with_files(
    entry: YamlEntry, name: str, service: OtherService, folder: Path | None
) -> OtherService:
    """Return a service with the files that its engine needs, checked.

    Args:
        entry: The service's.
        name: Its name.
        service: What it says.
        folder: The spec's, for a live study, whose interpreters and models must exist; else None.

    Raises:
        BadInput: A file is missing.
    """
    if not service.engine:
        return service
    engine = other_engine(service, name)
    if folder is None:
        return service
    if engine.model_kind != "name":
        is_file = engine.model_kind == "file"
        model = model_at(entry.at("model"), service.model, folder, is_file=is_file)
        service = replace(service, model=model)
    if engine.program:
        program = program_at(entry.at("program"), service.program or engine.program, folder)
        return replace(service, program=program)
    return replace(service, python=interpreter(entry.at("python"), service.python, folder))
