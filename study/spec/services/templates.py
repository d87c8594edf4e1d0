"""A command template of a service is checked for what it must name, and what nobody fills."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Sequence

from objectives.allocation import MEMORY, OF_MEMORY, RESIDENT, SHARE, SPEECH
from objectives.engines.command import placeholders
from objectives.engines.engine import Engine
from objectives.engines.places import PLACE
from objectives.search_space.parameter import Parameter
from objectives.services import LlmService, SttService
from study.spec.services.shell_words import check_shell_words
from study.spec.yaml_node import YamlEntry
from study.text import meant


def check_template(
    top: YamlEntry, engine: Engine, parameters: Sequence[Parameter], names: Collection[str]
) -> None:
    """Refuse a command that lacks a placeholder it needs, or has one that nobody fills.

    Args:
        top: The file.
        engine: What the template starts.
        parameters: What is searched.
        names: Those of all parameters.

    Raises:
        BadInput: There is something; it has file, line and key.
    """
    entry, template = top.at("services", engine.name, "command"), engine.service.command or ""
    try:
        used = placeholders(template)
    except ValueError as error:
        raise entry.wrong(f"its braces do not close: {error}", "write {name}") from error
    try:
        shlex.split(template)
    except ValueError as error:
        raise entry.wrong("a quote in it does not close", "close it, or remove it") from error
    check_shell_words(entry, template)
    if unknown := sorted(used - {*names} - {"port", "model"}):
        choices = ["port", "model", *sorted(names)]
        way_out = meant(unknown[0], choices)
        if unknown[0].startswith(engine.prefix):
            way_out = f"add `{unknown[0]}: [...]` to search_space; otherwise, {way_out}"
        raise entry.wrong(f"unknown placeholder {{{unknown[0]}}}", way_out)
    if "port" not in used:
        raise entry.wrong("it has no {port}", "add {port}, where the server's port goes")
    if "model" in used and not _has_model(engine):
        raise entry.wrong(
            "{model} is in it, and no model is named", "write the model in place of {model}"
        )
    for p in _of(engine, parameters):
        if (
            len(p.choices) != 1
            and p.name not in used
            and not (p.name == SPEECH and "model" in used)
            and not (p.name == MEMORY and SHARE in used)
            and not p.name.endswith((f".{PLACE}", f".{RESIDENT}"))
        ):
            raise entry.wrong(
                f"{p.name} is searched and not in it", f"add {{{p.name}}}, or do not search it"
            )
    for today in top.at("baseline").entries():
        name = today.path[-1]
        is_ours = name.startswith(engine.prefix) and name not in {p.name for p in parameters}
        if is_ours and name not in used and not name.endswith((f".{PLACE}", f".{RESIDENT}")):
            what = f"services.{engine.name}.command does not name it"
            raise today.wrong(what, f"write {{{name}}} there, or remove it")


def _has_model(engine: Engine) -> bool:
    """Return whether a model is named that a template may name; beside a turn none is."""
    match engine.service:
        case LlmService(model=model):
            return model != ""
        case service:
            return isinstance(service, SttService)


def _of(engine: Engine, parameters: Iterable[Parameter]) -> list[Parameter]:
    """Return the parameters of one service."""
    ours = {"llm": OF_MEMORY, "stt": (SPEECH,)}.get(engine.name, ())
    return [p for p in parameters if p.name in ours or p.name.startswith(engine.prefix)]
