"""This module generates the JSON Schema of a spec, by which an editor completes and checks it.

    python -m study.showcase.spec_schema > study/specs/spec.schema.json

It follows from the types of `Spec` and the first sentences of their docstrings. It says what each
key may hold; what one key asks of another, only `load` knows.
"""

from __future__ import annotations

import collections.abc
import inspect
import json
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from objectives.allocation import DEFAULT_BOUNDS, MEMORY, SHARE, SPEECH
from objectives.capacity.limits import LIMIT_MS, limit_names
from objectives.plain_data.ranges import Range
from objectives.services import OtherService
from objectives.traffic.workload import Workload
from study.spec.baseline import NONE
from study.spec.choices import APIS
from study.spec.foreign_keys import LEGACY, SHARED
from study.spec.load import DEPENDENT
from study.spec.model import KEYS, Spec
from study.spec.search_space import OF_TURNS
from study.spec.services.beside import NAME
from study.spec.services.of_turns import KINDS
from study.spec.traces.options import TYPES as TRACE_TYPES
from study.spec.yaml_node import ANY

DRAFT = "https://json-schema.org/draft/2020-12/schema"
VERSION = 1
SCALAR: Mapping[str, Any] = {"type": ["boolean", "number", "string"]}
TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}


def spec_schema() -> dict[str, Any]:
    """Return the schema as plain data."""
    own = {name: _of_key(name) for name in KEYS}
    others: dict[str, Any] = {name: {} for name in (*SHARED, *LEGACY) if name not in own}
    experiment = {
        "type": "object",
        "properties": {**own, **others},
        "required": ["name", "search_space"],
        "additionalProperties": False,
    }
    several = {"experiments": {"type": "array", "items": {"type": "object"}}}
    return {
        "$schema": DRAFT,
        "$comment": f"version {VERSION}, written by python -m study.showcase.spec_schema",
        "title": "A study of gpu-allocation-study",
        "if": {"required": ["experiments"]},
        "then": {"type": "object", "properties": several},
        "else": experiment,
    }


def _of_key(name: str) -> dict[str, Any]:
    """Return the schema of a top-level key."""
    hint = get_type_hints(Spec, include_extras=True)[name]
    kind = OF_DEPENDENT[name]() if name in DEPENDENT else of_type(hint)
    return {"description": _sentences(Spec).get(name, ""), **kind}


def of_type(kind: Any, within: Range = ANY) -> dict[str, Any]:
    """Return the schema of a type, as `YamlEntry.build` reads it."""
    if get_origin(kind) is Annotated:
        kind, within = get_args(kind)
    arguments = get_args(kind)
    match get_origin(kind):
        case None:
            return of_dataclass(kind) if is_dataclass(kind) else _single(kind, within)
        case types.UnionType | typing.Union:  # one type from Python 3.14 on
            inner = (of_type(a, within) for a in arguments if a is not types.NoneType)
            return {"anyOf": [*inner, {"type": "null"}]}
        case collections.abc.Mapping:
            return {"type": "object", "additionalProperties": of_type(arguments[1], within)}
        case origin if origin is Literal:
            return {"enum": [*arguments]}
    items = of_type(arguments[0], within)
    if arguments[-1] is ...:
        return {"type": "array", "items": items}
    return {"type": "array", "items": items, "minItems": len(arguments), "maxItems": len(arguments)}


def of_dataclass(kind: Any) -> dict[str, Any]:
    """Return the schema of a mapping that becomes this dataclass."""
    hints, sentences = get_type_hints(kind, include_extras=True), _sentences(kind)
    properties = {
        f.name: {"description": sentences.get(f.name, ""), **of_type(hints[f.name])}
        for f in fields(kind)
    }
    required = [
        f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING
    ]
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _single(kind: type, within: Range) -> dict[str, Any]:
    if issubclass(kind, StrEnum):
        return {"enum": [*map(str, kind)]}
    if issubclass(kind, Path):
        return {"type": "string"}
    ends = {"minimum": within.low, "maximum": within.high} if within != ANY else {}
    return {"type": TYPES[kind], **({} if kind in (bool, str) else ends)}


def _sentences(kind: type) -> dict[str, str]:
    """Return what a class's docstring says of each of its fields."""
    _, _, arguments = inspect.cleandoc(kind.__doc__ or "").partition("Args:\n")
    entries = re.findall(r"^    (\w+): (.+?)(?=^    \w+: |\Z)", arguments, re.M | re.S)
    return {name: " ".join(text.split()) for name, text in entries}


def _search_space() -> dict[str, Any]:
    numbers = {key: {"type": "number"} for key in ("low", "high", "step")}
    ranged = {
        "type": "object",
        "properties": {**numbers, "log": {"type": "boolean"}},
        "required": ["low", "high"],
        "additionalProperties": False,
    }
    several = {"anyOf": [{"type": "array", "items": SCALAR, "minItems": 1}, ranged]}
    sizes = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    return _named({SHARE: several, MEMORY: several, SPEECH: sizes}, several)


def _baseline() -> dict[str, Any]:
    classic = {SHARE: {"type": "number"}, MEMORY: {"type": "number"}, SPEECH: {"type": "string"}}
    return {"anyOf": [{"const": NONE}, _named(classic, SCALAR)]}


def _named(classic: Mapping[str, Any], option: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping of parameters: those that are always there, and options of the servers."""
    return {
        "type": "object",
        "properties": dict(classic),
        "patternProperties": {rf"^{NAME.pattern}\.[A-Za-z][\w.-]*$": dict(option)},
        "additionalProperties": False,
    }


def _bounds() -> dict[str, Any]:
    low, high = DEFAULT_BOUNDS[SHARE]
    pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    return {"type": "object", "additionalProperties": pair, "default": {SHARE: [low, high]}}


def _services() -> dict[str, Any]:
    each = {name: of_dataclass(kind) for name, kind in KINDS.items()}
    others = {f"^(?!(?:{'|'.join(OF_TURNS)})$){NAME.pattern}$": of_dataclass(OtherService)}
    return {
        "type": "object",
        "properties": each,
        "patternProperties": others,
        "additionalProperties": False,
    }


def _measure() -> dict[str, Any]:
    recorded = {"type": "object", "properties": {"recorded": {"type": "string"}}}
    return {"anyOf": [{"const": "live"}, {**recorded, "required": ["recorded"]}]}


def _workload() -> dict[str, Any]:
    own = of_dataclass(Workload)
    del own["properties"]["beside"]  # said by the services
    return {**own, "properties": {**own["properties"], **_trace()}}


def _trace() -> dict[str, Any]:
    return {key: of_type(kind) for key, kind in TRACE_TYPES.items()}


def _workloads() -> dict[str, Any]:
    named = {"name": {"type": "string"}, "replay": {"type": "string"}, **_trace()}
    entry = {"type": "object", "properties": named, "required": ["name"]}
    return {"type": "array", "items": {"anyOf": [{"type": "string"}, entry]}}


def _limits() -> dict[str, Any]:
    ms = of_type(float | None, LIMIT_MS)
    each = dict.fromkeys(limit_names(APIS), ms)
    return {
        "type": "object",
        "properties": each,
        "patternProperties": {f"^{NAME.pattern}_(latency|ttft|tpot)_p95_ms$": ms},
        "additionalProperties": False,
    }


OF_DEPENDENT = {
    "search_space": _search_space,
    "baseline": _baseline,
    "bounds": _bounds,
    "services": _services,
    "measure": _measure,
    "device": lambda: {"type": ["string", "integer"]},
    "devices": lambda: {
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"type": ["string", "integer", "null"]},
    },
    "workload": _workload,
    "workloads": _workloads,
    "limits": _limits,
}


def schema_text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(spec_schema(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(schema_text(), end="")
