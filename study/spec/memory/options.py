"""Check options of vLLM against each other, and say which of them are idle beside which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from objectives.allocation import Scalar
from objectives.engines.engine import llm_engine
from objectives.engines.vllm_flags import IDLE_BESIDE, disagreement, flag_name
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Idle
from objectives.services import LlmService
from study.spec.yaml_node import YamlEntry

PREFIX = "vllm."


def check_options(
    top: YamlEntry,
    llm: LlmService,
    parameters: Iterable[Parameter],
    baseline: Mapping[str, Scalar],
    device: str,
) -> None:
    """Refuse values that vLLM refuses together, and values that are one server.

    Another server, which a template or another engine starts, is not known here.
    """
    if llm.command is not None or not llm_engine(llm).has_share:
        return
    several = {p.name: p for p in parameters}
    values: dict[str, Sequence[Scalar]] = {
        _option(name): several[name].choices or (several[name].low, several[name].high)
        if name in several
        else (value,)
        for name, value in baseline.items()
        if name.startswith(PREFIX)
    }
    args = {(flag_name(word) or "").replace("-", "_") for word in llm.args}
    for name, (other, value) in IDLE_BESIDE.items():
        others = values.get(other, (other in args,))
        if len(values.get(name, ())) < 2:
            continue
        if device == "cpu":
            raise _entry(top, name).wrong("vLLM captures no graphs on a CPU", "remove it")
        if all(v is value for v in others):
            flag = other.replace("_", "-")
            raise _entry(top, name).wrong(
                f"vLLM ignores it beside --{flag}, which every candidate has",
                f"remove it, or search vllm.{other}: [true, false]",
            )
    if (found := disagreement(values, llm.args)) is not None:
        name, what, way_out = found
        raise _entry(top, name).wrong(what, way_out)


def idle_parameters(
    llm: LlmService, parameters: Iterable[Parameter], baseline: Mapping[str, Scalar]
) -> dict[str, Idle]:
    """Return which searched options do nothing, and when; they are then told as the baseline's."""
    names = {_option(name): name for name in baseline if name.startswith(PREFIX)}
    searched = {p.name for p in parameters}
    return {
        names[name]: Idle(names[other], value, baseline[names[name]])
        for name, (other, value) in IDLE_BESIDE.items()
        if llm.command is None and names.get(name) in searched and other in names
    }


def _option(name: str) -> str:
    return name.removeprefix(PREFIX).replace("-", "_")


def _entry(top: YamlEntry, option: str) -> YamlEntry:
    """Return where an option's values stand: searched, of the baseline, or among the flags."""
    entries = [
        e
        for key in ("search_space", "baseline")
        for e in top.at(key).entries()
        if e.path[-1].startswith(PREFIX) and _option(e.path[-1]) == option
    ]
    return (entries or [top.at("services", "llm", "args")])[0]
