"""The search space of a spec, the bounds of its parameters and the baseline: the allocation in use today."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.distributions import FloatDistribution, IntDistribution

from objectives.allocation import DEFAULT_BOUNDS, SHARE, SPEECH, Scalar
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Space
from objectives.services import SttService
from study.spec.yaml_node import Entry
from study.text import meant

CLASSIC = {SHARE: "number", SPEECH: "text"}
WHISPER_ORDER = ("tiny", "base", "small", "medium", "turbo", "large")
# fmt: off
CHANGES_ANSWERS = frozenset({
    "model", "tokenizer", "tokenizer_mode", "revision", "tokenizer_revision", "quantization", "kv_cache_dtype",
    "max_model_len", "dtype", "rope_scaling", "rope_theta", "hf_overrides", "calculate_kv_scales", "model_impl",
    "chat_template", "generation_config", "override_generation_config", "load_format", "runner", "convert",
    "enable_lora", "lora_modules", "speculative_config",
})
SET_BY_US = {
    "vllm.gpu_memory_utilization": f"use {SHARE}",
    "vllm.served_model_name": "use services.llm.served_model",
    "whisper.model": f"use {SPEECH}",
    **dict.fromkeys(("vllm.host", "vllm.port", "whisper.host", "whisper.port"), "leave it to the study"),
}
# fmt: on


def searched_entries(top: Entry) -> dict[str, Entry]:
    """The searched parameters by name; a name twice, with - and with _, is refused."""
    entries = top.at("search_space").items()
    if not entries:
        raise top.at("search_space").wrong("it is empty", f"search {SHARE} or {SPEECH}")
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        if (twin := seen.setdefault(name.replace("-", "_"), name)) != name:
            raise entry.wrong(f"it is the same option as {twin}", "remove one")
    return entries


def read_bounds(top: Entry) -> dict[str, tuple[float, float]]:
    """The hard limits of numeric parameters: the default ones and those that are given."""
    bounds = dict(DEFAULT_BOUNDS)
    given = top.at("bounds").items() if top.at("bounds").given else {}
    known = [n for n in {SHARE, *top.at("search_space").items()} if n != SPEECH]
    for name, entry in given.items():
        if name not in known:
            raise entry.unknown(sorted(known))
        low, high = bounds[name] = entry.build(tuple[float, float])
        if low > high:
            raise entry.wrong(f"{low:g} is above {high:g}", "write [low, high]")
        if name == SHARE and not 0 < low <= high < 1:
            raise entry.wrong(
                f"[{low:g}, {high:g}] leaves 0 to 1", "a share lies between 0 and 1, both excluded"
            )
    return bounds


def check_monotone(top: Entry, names: Sequence[str], parameters: Sequence[Parameter]) -> None:
    """Refuse a name that is not searched."""
    searched = [p.name for p in parameters]
    for entry, name in zip(top.at("monotone").elements() if names else (), names, strict=True):
        if name not in searched:
            raise entry.wrong(f"{name!r} is not searched", meant(name, searched))


def _named(entry: Entry, quality: str | None) -> None:
    """Refuse a name that is no parameter, or one that may not be searched."""
    name = entry.path[-1]
    server, _, flag = name.replace("-", "_").partition(".")
    if name in (SHARE, SPEECH):
        return
    if not re.fullmatch(r"(vllm|whisper)\.[A-Za-z][\w.-]*", name):
        way_out = (
            meant(name, (SHARE, SPEECH))
            + ", or name a server option vllm.<flag> or whisper.<option>"
        )
        raise entry.wrong("unknown parameter", way_out)
    if way_out := SET_BY_US.get(f"{server}.{flag}", ""):
        raise entry.wrong("it is set by the study itself", way_out)
    if server == "vllm" and flag.split(".")[0] in CHANGES_ANSWERS and quality is None:
        way_out = "remove it, or accept that with `gates: {llm_quality: unmeasured}`, which marks the promotion"
        raise entry.wrong("it changes the LLM's answers, whose quality is not measured", way_out)


def read_parameter(
    entry: Entry, name: str, bounds: Mapping[str, tuple[float, float]], quality: str | None
) -> Parameter:
    """One searched parameter: a list of values, or a range."""
    _named(entry, quality)
    if entry.is_mapping:
        return _range(entry, name, bounds)
    elements = entry.elements()
    if not elements:
        raise entry.wrong("the list is empty", "name at least one value")
    choices: list[Scalar] = []
    for e in elements:
        value = e.scalar()
        if value is None or value == "":
            raise e.wrong("an empty value", "write a number or text")
        if choices and _kind(value) != _kind(choices[0]):
            raise e.wrong(
                f"{e.shown} is of another kind than {choices[0]!r}",
                "list numbers only, or text only",
            )
        if value in choices:
            raise e.wrong(f"{e.shown} is listed twice", "remove one")
        choices.append(value)
        if (kind := CLASSIC.get(name)) and _kind(value) != kind:
            raise e.wrong(f"{e.shown} is not a {kind}", f"write a {kind}")
        _inside(e, name, value, bounds)
    return Parameter(name, tuple(choices))


def _kind(value: Scalar) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case _:
            return "number"


def _inside(
    entry: Entry, name: str, value: Scalar, bounds: Mapping[str, tuple[float, float]]
) -> None:
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


def _range(entry: Entry, name: str, bounds: Mapping[str, tuple[float, float]]) -> Parameter:
    asked: _Range = entry.build(_Range)
    low, high, step = (entry.at(k).scalar() for k in ("low", "high", "step"))
    if name == SPEECH:
        raise entry.wrong("sizes are no range", "list them: [tiny, base]")
    if asked.low >= asked.high:
        raise entry.at("high").wrong(f"{high} is not above low, {low}", "write low < high")
    for key in ("low", "high"):
        _inside(entry.at(key), name, getattr(asked, key), bounds)
    if asked.log and (asked.low <= 0 or step is not None):
        raise entry.at("log").wrong(
            "a logarithmic range needs low above 0 and no step", "raise low or remove log"
        )
    if asked.step is not None:
        steps = (asked.high - asked.low) / asked.step if asked.step > 0 else 0.0
        if not 1 - 1e-9 <= steps <= 10_000 or not math.isclose(steps, round(steps), rel_tol=1e-6):
            raise entry.at("step").wrong(
                f"{step} does not divide {low} to {high}", "choose one that ends at high"
            )
    assert isinstance(low, int | float) and isinstance(high, int | float)  # noqa: S101  built as numbers
    return Parameter(name, low=low, high=high, step=asked.step, log=asked.log)


def _on(parameter: Parameter, value: Scalar) -> bool:
    """Whether the parameter can take exactly this value."""
    if parameter.choices:
        kinds = {_kind(c) for c in parameter.choices}
        return _kind(value) in kinds and any(value == c for c in parameter.choices)
    if isinstance(value, str | bool) or not parameter.low <= value <= parameter.high:
        return False
    match parameter.distribution:
        case IntDistribution(low=low, step=step):
            return float(value).is_integer() and (int(value) - low) % step == 0
        case FloatDistribution(low=flow, step=fstep) if fstep is not None:
            return math.isclose((value - flow) / fstep, round((value - flow) / fstep), abs_tol=1e-6)
    return True


def read_baseline(
    top: Entry,
    parameters: tuple[Parameter, ...],
    stt: SttService,
    bounds: Mapping[str, tuple[float, float]],
) -> dict[str, Scalar]:
    """A value for each parameter: the given one, or for the classic two their default."""
    given = top.at("baseline").items() if top.at("baseline").given else {}
    searched = {p.name: p for p in parameters}
    values: dict[str, Scalar] = {}
    for name, entry in given.items():
        _named(entry, "fixed")
        value = entry.scalar()
        if value is None or CLASSIC.get(name, _kind(value)) != _kind(value):
            raise entry.wrong(
                f"{entry.shown} is not a value of {name}", f"write a {CLASSIC.get(name, 'value')}"
            )
        if name in searched and not _on(searched[name], value):
            listed = searched[name].choices
            one = (
                f"name one of {', '.join(map(str, listed))}"
                if listed
                else "name a value in its range"
            )
            raise entry.wrong(f"{value} is not in search_space.{name}", f"add it there or {one}")
        _inside(entry, name, value, bounds)
        values[name] = value
    for name, parameter in searched.items():
        if name not in values and name not in (SHARE, SPEECH):
            if len(parameter.choices) != 1:
                raise top.at("baseline", name).wrong(
                    "it has no value in use today", f"add `{name}: VALUE` there"
                )
            values[name] = parameter.choices[0]
    if SHARE not in values:
        values[SHARE] = _nearest_half(searched.get(SHARE))
        _inside(top.at("baseline", SHARE), SHARE, values[SHARE], bounds)
    if SPEECH not in values:
        sizes = searched[SPEECH].choices if SPEECH in searched else tuple(stt.models)
        known = [str(s) for s in sizes if s not in stt.random_weights]
        if not known:
            way_out = f"add `{SPEECH}: SIZE` to baseline"
            raise top.at("baseline", SPEECH).wrong("no size has a known word error rate", way_out)
        values[SPEECH] = max(known, key=lambda s: (_rank(s), known.index(s)))
    return values


def _nearest_half(parameter: Parameter | None) -> float:
    if parameter is None or _on(parameter, 0.5):
        return 0.5
    if parameter.size is None:
        return min(max(0.5, parameter.low), parameter.high)
    return min((float(v) for v in parameter.values()), key=lambda v: abs(v - 0.5))


def _rank(size: str) -> int:
    return next((n for n, name in enumerate(WHISPER_ORDER) if name in size), -1)


def speech_sizes(space: Space, baseline: Mapping[str, Scalar]) -> list[str]:
    """The speech models that the study may use."""
    listed = next((p.choices for p in space.parameters if p.name == SPEECH), ())
    return [str(s) for s in listed] or [str(baseline[SPEECH])]
