"""A workload replays of a trace what is read here: the file, its format, and what is done to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import yaml

from objectives.errors import BadInput
from objectives.traffic.public_traces.lines import TraceFile
from objectives.traffic.public_traces.request_lines import likely_format
from objectives.traffic.trace_slice import Format, TraceOptions
from objectives.traffic.workload import Workload
from study.spec.yaml_node import TAG, YamlEntry

# the keys of options that are called otherwise; nobody writes how much the server takes
NAMES = {"file": "trace", "from_s": "from", "for_s": "for"}
FIELDS = {NAMES.get(f.name, f.name): f.name for f in fields(TraceOptions) if f.name != "longest"}
TRACE_KEYS = tuple(FIELDS)
OF_TRACE = {  # the keys of a workload that a trace tells itself
    "turns_per_s": "its arrivals",
    "llm_per_s": "its arrivals",
    "llm_burst": "its arrivals",
    "prompt_tokens": "its lengths",
    "output_tokens": "its lengths",
}
SttMode = Literal["before_each", "poisson"]  # a capture itself says that clips are as they were
HINTS = get_type_hints(TraceOptions, include_extras=True)
TYPES: Mapping[str, Any] = {key: HINTS[name] for key, name in FIELDS.items()} | {"stt": SttMode}


@dataclass(frozen=True, slots=True)
class TraceEntry:
    """A trace entry is what a spec says of a trace, before its file is read.

    Args:
        entry: Where it stands in the spec.
        options: What it says; what it leaves out has its default.
        is_for_named: Whether it says how long the slice is.
        is_stt_named: Whether it says where clips come from.
    """

    entry: YamlEntry
    options: TraceOptions
    is_for_named: bool
    is_stt_named: bool


def read_workload(entry: YamlEntry, folder: Path) -> tuple[Workload, TraceEntry | None]:
    """Read the spec's `workload:`; with `trace:` it has no rates and lengths of its own.

    Raises:
        BadInput: A key or value is wrong, or contradicts another; it has file, line and key.
    """
    names = [f.name for f in fields(Workload) if f.name != "beside"]
    entry.only((*names, *TRACE_KEYS))
    present = [name for name in TRACE_KEYS if name in entry.items()]
    if not present:
        return entry.build(Workload), None
    workload: Workload = _without(entry, TRACE_KEYS).build(Workload)
    if "trace" not in present:
        raise entry.at(present[0]).wrong(
            "it is for a trace, and none is named", "add `trace: FILE`"
        )
    for name, what in OF_TRACE.items():
        if name in entry.items():
            way_out = "remove it, or change the load by `speed` or `thin`"
            raise entry.at(name).wrong(f"it stands beside `trace`, which has {what}", way_out)
    window_s = workload.window_s if "window_s" in entry.items() else None
    trace_entry = read_trace(entry, folder, window_s, workload.window_s)
    check_beside(entry, trace_entry)
    return workload, trace_entry


def check_beside(entry: YamlEntry, trace_entry: TraceEntry) -> None:
    """Refuse a rate of clips beside a trace that has a clip before each LLM request.

    Raises:
        BadInput: There is one; the error has file, line and key.
    """
    if "stt_per_s" in entry.items() and trace_entry.options.stt != "poisson":
        what = "it stands beside `trace`, whose LLM requests each have a clip before them"
        raise entry.at("stt_per_s").wrong(what, "write `stt: poisson`, or remove it")


def read_trace(
    entry: YamlEntry, folder: Path, window_s: float | None, default_s: float
) -> TraceEntry:
    """Read what a mapping says of its `trace:`.

    Args:
        entry: The mapping.
        folder: The folder of the spec, from which the file is named.
        window_s: The length of the window, where the spec says it, seconds.
        default_s: Its length where nobody says it, seconds.

    Raises:
        BadInput: A key or value is wrong, or contradicts another; it has file, line and key.
    """
    named = str(entry.at("trace").build(str))
    path = next((p for p in (folder / named, Path(named)) if p.is_file()), None)
    if path is None:
        raise entry.at("trace").wrong(
            f"there is no file {named!r}", "name a trace, from this spec's folder"
        )
    values = {
        FIELDS[key]: entry.at(key).build(kind)
        for key, kind in TYPES.items()
        if key in entry.items()
    }
    if "format" not in values:
        raise _without_format(entry, path)
    usual = {"from_s": 0.0, "for_s": (window_s or default_s) * values.get("speed", 1.0)}
    options = TraceOptions(**{**usual, **values, "file": str(path.absolute())})
    if window_s is not None and "for_s" in values:
        own_s = options.for_s / options.speed
        if abs(own_s - window_s) > 1e-6:
            what = f"{options.for_s:g} s of the trace are {own_s:g} s, and window_s is {window_s:g}"
            raise entry.at("for").wrong(what, "write one of the two")
    is_for_named = window_s is not None or "for_s" in values
    return TraceEntry(entry, options, is_for_named, "stt" in values)


def _without_format(entry: YamlEntry, path: Path) -> BadInput:
    """Return the error for a trace whose format is not named; it says what it looks like."""
    likely = likely_format(next(TraceFile(path).lines(), ""))
    way_out = f"write one of {', '.join(get_args(Format))}"
    if likely is not None:
        way_out = f"its first line looks like `format: {likely}`"
    return entry.at("format").wrong("it is missing", way_out)


def _without(entry: YamlEntry, names: Iterable[str]) -> YamlEntry:
    """Return a mapping without some of its keys."""
    left = set(names)
    values = [
        (yaml.ScalarNode(f"{TAG}str", key, yaml.Mark(e.file, 0, e.line - 1, 0, None, 0)), e.node)
        for key, e in entry.items().items()
        if key not in left
    ]
    node = yaml.MappingNode(entry.node.tag, values, entry.node.start_mark, entry.node.end_mark)
    return replace(entry, node=node)
