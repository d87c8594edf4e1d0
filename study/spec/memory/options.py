"""Options of an engine are checked against each other here; some are idle beside others."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence

from objectives.allocation import Scalar
from objectives.engines.command import option_of
from objectives.engines.engine import Engine
from objectives.engines.places import HOST, PLACE, Place
from objectives.engines.registry import in_order
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Idle
from objectives.services import DeviceKind, LlmService, Service, Services
from study.spec.yaml_node import YamlEntry


def check_options(
    top: YamlEntry,
    services: Services,
    parameters: Sequence[Parameter],
    baseline: Mapping[str, Scalar],
    device: str,
) -> None:
    """Refuse values that an engine refuses together, that are one server, or need several devices.

    Another server, which a template starts, is not known here.

    Args:
        top: The file.
        services: The services.
        parameters: What is searched.
        baseline: A value of each parameter.
        device: The LLM's.
    """
    for engine in in_order(services):
        if engine.service.command is None:
            values = values_of(engine, parameters, baseline)
            places = _places_of(engine.name, engine.service, parameters, baseline)
            _check(top, engine, values, places, device)


def _check(
    top: YamlEntry,
    engine: Engine,
    values: Mapping[str, Sequence[Scalar]],
    places: Collection[Place],
    device: str,
) -> None:
    sizes = {len(place.devices) for place in places} or {1}
    for option, devices in engine.spread_by(values):
        _check_spread(_entry(top, engine, option), engine, option, devices, sizes)
    args = {option_of(word) for word in engine.service.args}
    for name, (other, value) in engine.idle_beside.items():
        others = values.get(other, (other in args,))
        if len(values.get(name, ())) < 2:
            continue
        if why := engine.useless_on(_kind(places, device), name):
            raise _entry(top, engine, name).wrong(why, "remove it")
        if all(v is value for v in others):
            flag = other.replace("_", "-")
            raise _entry(top, engine, name).wrong(
                f"it does nothing beside --{flag}, which every candidate has",
                f"remove it, or search {engine.prefix}{other}: [true, false]",
            )
    if (disagreement := engine.disagreement(values)) is not None:
        name, what, way_out = disagreement
        raise _entry(top, engine, name).wrong(what, way_out)


def _kind(places: Collection[Place], device: str) -> DeviceKind:
    """Return the kind of a service's devices: a GPU where it may be on one."""
    kinds = {place.kind for place in places} or {"cpu" if device == HOST else "cuda"}
    return "cpu" if kinds == {"cpu"} else "cuda"


def _places_of(
    name: str, service: Service, parameters: Iterable[Parameter], baseline: Mapping[str, Scalar]
) -> list[Place]:
    """Return where a service may run; nowhere where its device has no name."""
    searched = {p.name: p.choices for p in parameters}
    own = baseline.get(f"{name}.{PLACE}", service.place)
    return [Place.of(str(p)) for p in searched.get(f"{name}.{PLACE}", (own,)) if p is not None]


def values_of(
    engine: Engine, parameters: Iterable[Parameter], baseline: Mapping[str, Scalar]
) -> dict[str, Sequence[Scalar]]:
    """Return the values that each option of an engine may have, or the ends of their range.

    Options are by their names without the prefix, with underscores.
    """
    several = {p.name: p.choices or _of_range(p) for p in parameters}
    return {
        _option(engine, name): several.get(name, (value,))
        for name, value in baseline.items()
        if name.startswith(engine.prefix) and name != f"{engine.name}.{PLACE}"
    }


def _of_range(parameter: Parameter) -> tuple[Scalar, ...]:
    """Return the ends of a range, and a value between them where that need not be a whole one."""
    low, high, step = parameter.low, parameter.high, parameter.step
    if isinstance(low, int) and isinstance(high, int) and float(step or 1).is_integer():
        return low, high
    return low, round(low + (step or (high - low) / math.pi), 4), high


def _check_spread(
    entry: YamlEntry, engine: Engine, option: str, devices: int, sizes: Collection[int]
) -> None:
    """Refuse an option that spreads a server over other devices than its place has."""
    flag, ours = option.replace("_", "-"), engine.of_its_set
    is_of_turns = isinstance(engine.service, LlmService)
    if {devices} == ({*sizes} if option in ours else {1}):
        return
    whom = "one LLM" if is_of_turns else engine.name
    what = f"{flag} spreads {whom} over several devices"
    if devices < 1:
        whose = "an LLM" if is_of_turns else engine.name
        raise entry.wrong(
            f"{flag} is {devices}, and {whose} is on one device at least", "remove it"
        )
    if not is_of_turns:
        raise entry.wrong(f"{what}, and it is on one", "remove it")
    if option not in ours:
        known = f"; of several devices it knows --{ours[0].replace('_', '-')}" if ours else ""
        raise entry.wrong(f"{what} in a way that is not measured", f"remove it{known}")
    if {*sizes} == {1}:
        raise entry.wrong(
            f"{what}, and its place has one",
            "name them under `devices:`, and write `place: gpu0+gpu1` in place of it",
        )
    has = " or ".join(map(str, sorted(sizes)))
    raise entry.wrong(
        f"{flag} is {devices}, and its place has {has} devices", "remove it: the place says it"
    )


def idle_parameters(
    services: Services, parameters: Iterable[Parameter], baseline: Mapping[str, Scalar]
) -> dict[str, Idle]:
    """Return which searched options do nothing, and when; they are then told as the baseline's."""
    searched, idle = {p.name for p in parameters}, dict[str, Idle]()
    for engine in in_order(services):
        if engine.service.command is not None:
            continue
        names = {_option(engine, name): name for name in baseline if name.startswith(engine.prefix)}
        idle |= {
            names[name]: Idle(names[other], value, baseline[names[name]])
            for name, (other, value) in engine.idle_beside.items()
            if names.get(name) in searched and other in names
        }
    return idle


def _option(engine: Engine, name: str) -> str:
    return name.removeprefix(engine.prefix).replace("-", "_")


def _entry(top: YamlEntry, engine: Engine, option: str) -> YamlEntry:
    """Return where an option's values stand: searched, of the baseline, or among the flags."""
    entries = [
        e
        for key in ("search_space", "baseline")
        for e in top.at(key).entries()
        if e.path[-1].startswith(engine.prefix) and _option(engine, e.path[-1]) == option
    ]
    return (entries or [top.at("services", engine.name, engine.words_key)])[0]
