"""Check options of the LLM's engine against each other, and say which are idle beside which."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from objectives.allocation import Scalar
from objectives.engines.engine import llm_engine
from objectives.engines.llm_options import option_of
from objectives.engines.llm_server import LlmServer
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Idle
from objectives.services import LlmService
from study.spec.services.sets import set_sizes
from study.spec.yaml_node import YamlEntry


def check_options(
    top: YamlEntry,
    llm: LlmService,
    parameters: Iterable[Parameter],
    baseline: Mapping[str, Scalar],
    device: str,
) -> None:
    """Refuse values that an engine refuses together, that are one server, or need several devices.

    Another server, which a template starts, is not known here.

    Args:
        top: The file.
        llm: The LLM.
        parameters: What is searched.
        baseline: A value of each parameter.
        device: Its device.
    """
    if llm.command is not None:
        return
    engine, several = llm_engine(llm), {p.name: p for p in parameters}
    values: dict[str, Sequence[Scalar]] = {
        _option(engine, name): several[name].choices or (several[name].low, several[name].high)
        if name in several
        else (value,)
        for name, value in baseline.items()
        if name.startswith(engine.prefix)
    }
    sizes = set_sizes("llm", llm, several.values(), baseline)
    for option, devices in engine.spread_by(values):
        _check_spread(_entry(top, engine, option), engine, option, devices, sizes)
    args = {option_of(word) for word in llm.args}
    for name, (other, value) in engine.idle_beside.items():
        others = values.get(other, (other in args,))
        if len(values.get(name, ())) < 2:
            continue
        if why := engine.useless_on("cpu" if device == "cpu" else "cuda", name):
            raise _entry(top, engine, name).wrong(why, "remove it")
        if all(v is value for v in others):
            flag = other.replace("_", "-")
            raise _entry(top, engine, name).wrong(
                f"it does nothing beside --{flag}, which every candidate has",
                f"remove it, or search {engine.prefix}{other}: [true, false]",
            )
    if (found := engine.disagreement(values)) is not None:
        name, what, way_out = found
        raise _entry(top, engine, name).wrong(what, way_out)


def _check_spread(
    entry: YamlEntry, engine: LlmServer, option: str, devices: int, sizes: Collection[int]
) -> None:
    """Refuse an option that spreads an LLM over other devices than its place has."""
    flag, ours = option.replace("_", "-"), engine.of_its_set
    if {devices} == ({*sizes} if option in ours else {1}):
        return
    what = f"{flag} spreads one LLM over several devices"
    if devices < 1:
        raise entry.wrong(f"{flag} is {devices}, and an LLM is on one device at least", "remove it")
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
    llm: LlmService, parameters: Iterable[Parameter], baseline: Mapping[str, Scalar]
) -> dict[str, Idle]:
    """Return which searched options do nothing, and when; they are then told as the baseline's."""
    engine = llm_engine(llm)
    names = {_option(engine, name): name for name in baseline if name.startswith(engine.prefix)}
    searched = {p.name for p in parameters}
    return {
        names[name]: Idle(names[other], value, baseline[names[name]])
        for name, (other, value) in engine.idle_beside.items()
        if llm.command is None and names.get(name) in searched and other in names
    }


def _option(engine: LlmServer, name: str) -> str:
    return name.removeprefix(engine.prefix).replace("-", "_")


def _entry(top: YamlEntry, engine: LlmServer, option: str) -> YamlEntry:
    """Return where an option's values stand: searched, of the baseline, or among the flags."""
    entries = [
        e
        for key in ("search_space", "baseline")
        for e in top.at(key).entries()
        if e.path[-1].startswith(engine.prefix) and _option(engine, e.path[-1]) == option
    ]
    return (entries or [top.at("services", "llm", "args")])[0]
