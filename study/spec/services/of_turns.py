"""This module reads what a study runs on: both servers with interpreters and models, recording."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Literal

from objectives.allocation import SHARE, SPEECH
from objectives.engines.engine import Engine
from objectives.engines.registry import (
    LLM_ENGINES,
    SPEECH_ENGINES,
    in_order,
    llm_engine,
    speech_engine,
)
from objectives.search_space.parameter import Parameter
from objectives.services import LlmService, OtherService, Services, SttService
from study.spec.files import MODEL_KINDS, file_at, interpreter, model_at, program_at
from study.spec.memory.overrides import refuse_overrides
from study.spec.memory.shares import refuse_shares
from study.spec.search_space import OF_TURNS
from study.spec.services.engines_beside import with_files
from study.spec.services.keys import check_words, refuse_unread
from study.spec.services.shell_words import check_program
from study.spec.services.templates import check_template
from study.spec.speech.service import read_speech
from study.spec.yaml_node import YamlEntry
from study.text import meant

DEFAULT_LLM = LlmService(model="Qwen/Qwen2.5-7B-Instruct-AWQ", args=("--max-model-len", "4096"))
# in the order in which people read them
KINDS: Mapping[str, type[LlmService | SttService]] = {"llm": LlmService, "stt": SttService}


def named_engines(services: YamlEntry, beside: Services) -> tuple[Engine, ...]:
    """Return the engine of each service, as far as its parameters go.

    Raises:
        BadInput: This version knows no engine of a name.
    """
    llm = _engine_name(services.at("llm", "engine"), LLM_ENGINES)
    stt = _engine_name(services.at("stt", "engine"), SPEECH_ENGINES)
    commands = [services.at(name, "command").text or None for name in OF_TURNS]
    of_turns: Services = {
        "llm": LlmService(engine=llm, command=commands[0]),
        "stt": SttService(engine=stt, command=commands[1]),
    }
    return in_order({**of_turns, **beside})


def _engine_name(entry: YamlEntry, known: Iterable[str]) -> str:
    name = entry.build(str) if entry.is_present else ""
    if name and name not in known:
        raise entry.wrong(f"unknown engine {name!r}", meant(name, tuple(filter(None, known))))
    return name


def read_services(
    top: YamlEntry,
    device: str,
    parameters: tuple[Parameter, ...],
    folder: Path | None,
    beside: Mapping[str, OtherService],
) -> tuple[Services, list[str]]:
    """Return the services, checked, and notes for a person.

    Args:
        beside: Those beside a turn, as `read_beside` reads them.
        folder: The spec's, for a live study, whose interpreters must exist; else None.
    """
    entry = top.at("services")
    named = {e.path[-1]: e for key in ("baseline", "search_space") for e in top.at(key).entries()}
    llm, notes = _llm(entry.at("llm"), folder)
    notes += [
        f"services names no {name}: the usual one is measured; every study has one"
        for name in OF_TURNS
        if entry.is_present and not entry.at(name).is_present
    ]
    stt = read_speech(entry.at("stt"), device, folder)
    beside = {n: with_files(entry.at(n), n, s, folder) for n, s in beside.items()}
    services: Services = {"llm": llm, "stt": stt, **beside}
    searched = [p.name for p in parameters]
    for engine in in_order(services):
        if engine.service.command is not None:
            check_template(top, engine, parameters, {SHARE, SPEECH, *named})
            if folder is not None:
                check_program(entry.at(engine.name, "command"), engine.service.command)
    for engine in in_order(services):
        own = entry.at(engine.name)
        _check_options(engine, named)
        check_words(own, engine, named)
        refuse_unread(own, engine)
        refuse_overrides(own, engine, searched, named, is_live=folder is not None)
        refuse_shares(engine, parameters, top)
    return services, notes


def _check_options(engine: Engine, named: Mapping[str, YamlEntry]) -> None:
    """Refuse an option that a server of ours does not have."""
    options = engine.options_of_ours if engine.service.command is None else ()
    for name, at in named.items():
        option = name.removeprefix(engine.prefix).replace("-", "_")
        if options and name.startswith(engine.prefix) and option not in options:
            raise at.wrong("our speech server has no such option", meant(option, options))


def _llm(entry: YamlEntry, folder: Path | None) -> tuple[LlmService, list[str]]:
    llm: LlmService = entry.build(LlmService) if entry.is_present else DEFAULT_LLM
    if llm.command is not None:
        return llm, []
    notes, engine = [], llm_engine(llm)
    own = entry.at("model")
    if own.is_present and not llm.model:
        raise own.wrong("it is empty", f"name {MODEL_KINDS[engine.model_kind]}")
    if not own.is_present:
        if engine.model_kind != "folder":
            raise own.wrong("it is missing", f"name {MODEL_KINDS[engine.model_kind]}")
        llm = replace(llm, model=DEFAULT_LLM.model, args=llm.args or DEFAULT_LLM.args)
        notes.append(f"services.llm.model is not given: {llm.model} is used")
    if folder is None:
        return llm, notes
    if engine.model_kind != "name":
        is_file = engine.model_kind == "file"
        llm = replace(llm, model=model_at(own, llm.model, folder, is_file=is_file))
    if not engine.program:
        python = interpreter(entry.at("python"), llm.python, folder)
        return replace(llm, python=python), notes
    program = llm.program or engine.program
    return replace(llm, program=program_at(entry.at("program"), program, folder)), notes


def with_models(
    top: YamlEntry, services: Services, sizes: list[str], folder: Path | None
) -> Services:
    """Return the services with a model for every size that the study may use, and no other."""
    stt = speech(services)
    if stt.command is not None:
        return services
    models: dict[str, str] = {}
    hub = speech_engine(stt).hub
    listed = top.at("search_space", SPEECH)
    named = [*(listed.elements() if listed.is_list else ()), top.at("baseline", SPEECH)]
    for size in sizes:
        entry = top.at("services", "stt", "models", size)
        model = stt.models.get(size, hub.get(size))
        if not model:
            way_out = f"add `{size}: FOLDER` to services.stt.models"
            if not entry.is_present:
                way_out += f"; otherwise, {meant(size, dict.fromkeys((*stt.models, *hub)))}"
                entry = next((e for e in named if e.text == size), entry)
            raise entry.wrong(f"there is no model for {size!r}", way_out)
        models[size] = model if folder is None else model_at(entry, model, folder)
    return {**services, "stt": replace(stt, models=models)}


def llm(services: Services) -> LlmService:
    """Return the service of the LLM."""
    return next(s for s in services.values() if isinstance(s, LlmService))


def speech(services: Services) -> SttService:
    """Return the service that transcribes."""
    return next(s for s in services.values() if isinstance(s, SttService))


def read_measure(top: YamlEntry, folder: Path) -> Literal["live"] | Path:
    """Return how the study measures: live, or from the file of a recording."""
    entry = top.at("measure")
    if not entry.is_present or (not entry.is_mapping and entry.scalar() == "live"):
        return "live"
    if not entry.is_mapping or set(entry.items()) != {"recorded"}:
        raise entry.wrong(
            "it is neither `live` nor a recording", "write `live` or `{recorded: FILE}`"
        )
    entry = entry.at("recorded")
    named = entry.build(str)
    shipped = Path(str(files("objectives"))) / "recordings"
    if path := file_at(named, (folder, shipped), Path.is_file):
        return path
    own = (f.name for f in shipped.glob("*.jsonl") if not f.stem.endswith("_pairs"))
    recordings = ", ".join(sorted(own)) or "none"
    raise entry.wrong(
        f"there is no recording {named!r}",
        f"name a file of scripts/record.py (shipped: {recordings})",
    )
