"""The search space of a spec has parameters, and bounds that their values keep."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from objectives.allocation import DEFAULT_BOUNDS, MEMORY, OF_MEMORY, RESIDENT, SHARE, SPEECH, Scalar
from objectives.engines.engine import Engine
from objectives.engines.places import PLACE
from objectives.search_space.parameter import Parameter
from study.spec.yaml_node import YamlEntry
from study.text import meant

OF_TURNS = ("llm", "stt")
# by whether it is an option of theirs; those of others are filled into a template
OPTION = {True: r"[A-Za-z][\w.-]*", False: r"[A-Za-z]\w*"}
CLASSIC = {SHARE: "number", MEMORY: "number", SPEECH: "text"}
HOW = {
    SHARE: f"write a part of 1, as 0.7 for 70 %, or MiB as `{MEMORY}`",
    MEMORY: "write MiB without a unit, as 8192 for 8 GiB",
    SPEECH: "write a text",
}


def searched_entries(top: YamlEntry) -> dict[str, YamlEntry]:
    """Return the searched parameters by name; refuse a name twice, with - and with _."""
    entries = top.at("search_space").items()
    if not entries:
        raise top.at("search_space").wrong("it is empty", f"search {SHARE} or {SPEECH}")
    refuse_twins(entries)
    refuse_both_units(entries)
    return entries


def refuse_twins(entries: Mapping[str, YamlEntry], others: Iterable[str] = ()) -> None:
    """Refuse an option that is there twice, with - and with _, also among others by name."""
    names = {name.replace("-", "_"): name for name in others}
    for name, entry in entries.items():
        if (twin := names.setdefault(name.replace("-", "_"), name)) != name:
            raise entry.wrong(f"it is the same option as {twin}", f"write {twin}, or remove one")


def refuse_both_units(entries: Mapping[str, YamlEntry]) -> None:
    """Refuse the LLM's memory as a share and in MiB at once."""
    if entries.keys() >= {*OF_MEMORY}:
        raise entries[MEMORY].wrong(f"it stands beside {SHARE}, which says the same", "remove one")


def read_bounds(top: YamlEntry) -> dict[str, tuple[float, float]]:
    """Return the hard limits of numeric parameters: the default ones and those of the file."""
    bounds = dict(DEFAULT_BOUNDS)
    limits = top.at("bounds").items() if top.at("bounds").is_present else {}
    names = [n for n in {SHARE, *top.at("search_space").items()} if n != SPEECH]
    for name, entry in limits.items():
        if name not in names:
            raise entry.unknown(sorted(names))
        low, high = bounds[name] = entry.build(tuple[float, float])
        if low > high:
            raise entry.wrong(f"{low:g} is above {high:g}", "write [low, high]")
        if name == SHARE and not 0 < low <= high < 1:
            raise entry.wrong(
                f"[{low:g}, {high:g}] leaves 0 to 1", "a share lies between 0 and 1, both excluded"
            )
    return bounds


def check_monotone(top: YamlEntry, names: Sequence[str], parameters: Sequence[Parameter]) -> None:
    """Refuse a name that is not searched."""
    searched = [p.name for p in parameters]
    for entry, name in zip(top.at("monotone").elements() if names else (), names, strict=True):
        if name not in searched:
            raise entry.wrong(f"{name!r} is not searched", meant(name, searched))


def check_name(entry: YamlEntry, quality: str | None, engines: Sequence[Engine]) -> None:
    """Refuse a name that is no parameter, or one that may not be searched.

    Args:
        entry: The parameter.
        quality: Whether answers that nobody judges may change.
        engines: One a service.
    """
    name = entry.path[-1]
    server, _, option = name.replace("-", "_").partition(".")
    if name in CLASSIC:
        llm = next(e for e in engines if e.name == OF_TURNS[0])
        if name in OF_MEMORY and not llm.has_share:
            what = "the LLM's engine takes the memory that it needs, and has no share"
            raise entry.wrong(what, f"remove it, and search {llm.prefix}<flag>")
        return
    if option in (PLACE, RESIDENT) and server in OF_TURNS:
        return
    engine = next((e for e in engines if e.prefix == f"{server}."), None)
    is_dashed = "-" in name and re.fullmatch(OPTION[False], option) is not None
    if engine is not None and engine.name not in OF_TURNS and is_dashed:
        raise entry.wrong("its name has dashes", f"write {engine.prefix}{option}")
    if engine is None or not re.fullmatch(OPTION[engine.name in OF_TURNS], name.partition(".")[2]):
        several = [f"{e.prefix}{'<flag>' if e.has_kv_cache else '<option>'}" for e in engines]
        way_out = f"{meant(name, tuple(CLASSIC))}, or name a server option {' or '.join(several)}"
        raise entry.wrong("unknown parameter", way_out)
    if way_out := engine.set_by_study(option) or "":
        raise entry.wrong("it is set by the study itself", way_out)
    if option in _keys(engine):
        what = f"it is a key of services.{engine.name}, and no option of its server"
        raise entry.wrong(what, f"write `{option}:` there, one value that is not searched")
    if engine.may_change_answers(option) and quality is None:
        way_out = (
            "remove it, or accept that with `gates: {llm_quality: unmeasured}`, "
            "which marks the promotion"
        )
        whose = "changes the LLM's answers"
        if engine.name not in OF_TURNS:
            whose = f"may change the answers of {engine.name}"
        raise entry.wrong(f"it {whose}, whose quality is not measured", way_out)


def _keys(engine: Engine) -> set[str]:
    """Return the keys of a service's entry that are no options of what serves it."""
    if engine.service.command is not None or engine.options_of_ours:
        return set()
    return {f.name for f in fields(engine.service)} - {PLACE, RESIDENT, "model"}


def read_parameter(
    entry: YamlEntry,
    name: str,
    bounds: Mapping[str, tuple[float, float]],
    quality: str | None,
    engines: Sequence[Engine],
) -> Parameter:
    """Return one searched parameter: a list of values, or a range."""
    check_name(entry, quality, engines)
    if entry.is_mapping:
        return read_range(entry, name, bounds)
    elements = entry.elements()
    if not elements:
        raise entry.wrong("the list is empty", "name at least one value")
    choices: list[Scalar] = []
    for e in elements:
        value = e.scalar()
        if value is None or value == "":
            raise e.wrong("an empty value", "write a number or text")
        if choices and kind_of(value) != kind_of(choices[0]):
            raise e.wrong(
                f"{e.quotation} is of another kind than {choices[0]!r}",
                "list numbers only, or text only",
            )
        if value in choices:
            raise e.wrong(f"{e.quotation} is listed twice", "remove one")
        choices.append(value)
        if (kind := CLASSIC.get(name)) and kind_of(value) != kind:
            raise e.wrong(f"{e.quotation} is not a {kind}", HOW[name])
        check_bounds(e, name, value, bounds)
    return Parameter(name, tuple(choices))


def kind_of(value: Scalar) -> str:
    """Name the kind of a value: true or false, text, or number."""
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case _:
            return "number"


def check_bounds(
    entry: YamlEntry, name: str, value: Scalar, bounds: Mapping[str, tuple[float, float]]
) -> None:
    """Refuse a value outside the hard limits of its parameter, where it has any.

    Those of the share hold for MiB too, once the device is known.
    """
    if name == MEMORY and not isinstance(value, str | bool) and value < 1:
        raise entry.wrong(f"{value} is no amount of MiB", f"write MiB, or a share as {SHARE}")
    if name == SHARE and not isinstance(value, str | bool) and not 0 < value < 1:
        raise entry.wrong(f"{value} is no share of a device", HOW[SHARE])
    if name not in bounds:
        return
    low, high = bounds[name]
    if isinstance(value, str | bool) or not low <= value <= high:
        way_out = f"choose from there, or set `bounds: {{{name}: [low, high]}}`"
        raise entry.wrong(f"{value} is outside the bounds {low:g} to {high:g}", way_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    low: float
    high: float
    step: float | None = None
    log: bool = False


def read_range(entry: YamlEntry, name: str, bounds: Mapping[str, tuple[float, float]]) -> Parameter:
    """Return a parameter that is searched over a range."""
    limits: _Range = entry.build(_Range)
    low, high, step = (entry.at(k).scalar() for k in ("low", "high", "step"))
    if name == SPEECH:
        raise entry.wrong("sizes are no range", "list them: [tiny, base]")
    if limits.low >= limits.high:
        raise entry.at("high").wrong(f"{high} is not above low, {low}", "write low < high")
    for key in ("low", "high"):
        check_bounds(entry.at(key), name, getattr(limits, key), bounds)
    if limits.log and (limits.low <= 0 or step is not None):
        raise entry.at("log").wrong(
            "a logarithmic range needs low above 0 and no step", "raise low or remove log"
        )
    if limits.step is not None:
        steps = (limits.high - limits.low) / limits.step if limits.step > 0 else 0.0
        if not 1 - 1e-9 <= steps <= 10_000 or not math.isclose(steps, round(steps), rel_tol=1e-6):
            raise entry.at("step").wrong(
                f"{step} does not divide {low} to {high}", "choose one that ends at high"
            )
    assert isinstance(low, int | float) and isinstance(high, int | float)  # noqa: S101
    return Parameter(name, low=low, high=high, step=limits.step, log=limits.log)
