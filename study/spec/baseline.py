"""The baseline of a spec has a value of each parameter, in use today or tried first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from objectives.allocation import MEMORY, SHARE, SPEECH, Scalar
from objectives.engines.engine import Engine
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Space
from objectives.services import SttService
from study.spec.search_space import (
    CLASSIC,
    HOW,
    check_bounds,
    check_name,
    kind_of,
    refuse_both_units,
    refuse_twins,
)
from study.spec.yaml_node import YamlEntry

NONE = "none"  # nothing is in use today
WHISPER_ORDER = ("tiny", "base", "small", "medium", "turbo", "large")


def read_baseline(
    top: YamlEntry,
    parameters: tuple[Parameter, ...],
    stt: SttService,
    bounds: Mapping[str, tuple[float, float]],
    engines: Sequence[Engine],
) -> dict[str, Scalar]:
    """Return a value for each parameter; where the file has none, the classic two have a default.

    The default share is the searched one nearest to a half; the default speech model is the largest
    whose words are judged. Where nothing is in use (`baseline: none`), any other parameter is tried
    first with the first of its values. Of the LLM's memory it has the unit of the file, which the
    device turns into that of the search (`on_device`).
    """
    entry, has_today = top.at("baseline"), is_in_use(top)
    if entry.is_present and has_today and not entry.is_mapping:
        raise entry.wrong(
            f"{entry.quotation} is no allocation",
            "write `key: value` lines below it, or `baseline: none` if nothing is in use",
        )
    entries = entry.items() if entry.is_present and has_today else {}
    refuse_both_units(entries)
    searched = {p.name: p for p in parameters}
    refuse_twins(entries, searched)
    values: dict[str, Scalar] = {}
    for name, today in entries.items():
        check_name(today, "fixed", engines)
        value = today.scalar()
        if value is None or CLASSIC.get(name, kind_of(value)) != kind_of(value):
            raise today.wrong(
                f"{today.quotation} is not a value of {name}", HOW.get(name, "write a value")
            )
        if name in searched and not _can_take(searched[name], value):
            listed = searched[name].choices
            one = (
                f"name one of {', '.join(map(str, listed))}"
                if listed
                else "name a value in its range"
            )
            raise today.wrong(f"{value} is not in search_space.{name}", f"add it there or {one}")
        check_bounds(today, name, value, bounds)
        values[name] = value
    for name, parameter in searched.items():
        is_said = name in values or (name == MEMORY and SHARE in values)
        if not is_said and name not in (SHARE, SPEECH):
            if len(parameter.choices) != 1 and has_today:
                raise top.at("baseline", name).wrong(
                    "it has no value in use today",
                    f"add `{name}: VALUE` there, or write `baseline: none` if nothing is in use",
                )
            values[name] = parameter.choices[0] if parameter.choices else parameter.low
    has_share = any(e.has_share for e in engines)
    if has_share and SHARE not in values and MEMORY not in values:
        values[SHARE] = _nearest_half(searched.get(SHARE))
        check_bounds(top.at("baseline", SHARE), SHARE, values[SHARE], bounds)
    if SPEECH not in values:
        sizes = searched[SPEECH].choices if SPEECH in searched else tuple(stt.models)
        judged = [str(s) for s in sizes if s not in stt.random_weights]
        if not judged:
            way_out = f"add `{SPEECH}: SIZE` to baseline"
            raise top.at("baseline", SPEECH).wrong("no size has a known word error rate", way_out)
        values[SPEECH] = max(judged, key=lambda s: (_rank(s), judged.index(s)))
    return values


def is_in_use(top: YamlEntry) -> bool:
    """Say whether the baseline is in use today, and not only what is tried first."""
    return top.at("baseline").text.lower() != NONE


def default_note(top: YamlEntry, space: Space, baseline: Mapping[str, Scalar]) -> Iterator[str]:
    """Say which of the searched values are taken for those in use, where the file says none."""
    entry, several = top.at("baseline"), {p.name for p in space.parameters if len(p.choices) != 1}
    said = entry.items() if entry.is_mapping else {}
    taken = [
        f"{name}={baseline[name]}"
        for name in (SHARE, SPEECH)
        if name in several and name not in said and not (name == SHARE and MEMORY in said)
    ]
    if is_in_use(top) and taken:
        yield (
            f"`baseline:` does not say what is in use today: {' and '.join(taken)} is taken for "
            "it; write it there, or `baseline: none`"
        )


def speech_sizes(space: Space, baseline: Mapping[str, Scalar]) -> list[str]:
    """Return the speech models that the study may use."""
    listed = next((p.choices for p in space.parameters if p.name == SPEECH), ())
    return [str(s) for s in listed] or [str(baseline[SPEECH])]


def _can_take(parameter: Parameter, value: Scalar) -> bool:
    """Say whether the parameter can take exactly this value."""
    if parameter.choices:
        kinds = {kind_of(c) for c in parameter.choices}
        return kind_of(value) in kinds and any(value == c for c in parameter.choices)
    if isinstance(value, str | bool) or not parameter.low <= value <= parameter.high:
        return False
    from optuna.distributions import FloatDistribution, IntDistribution  # noqa: PLC0415

    match parameter.distribution:
        case IntDistribution(low=low, step=step):
            return float(value).is_integer() and (int(value) - low) % step == 0
        case FloatDistribution(low=flow, step=fstep) if fstep is not None:
            return math.isclose((value - flow) / fstep, round((value - flow) / fstep), abs_tol=1e-6)
    return True


def _nearest_half(parameter: Parameter | None) -> float:
    if parameter is None or _can_take(parameter, 0.5):
        return 0.5
    if parameter.size is None:
        return min(max(0.5, parameter.low), parameter.high)
    return min((float(v) for v in parameter.values()), key=lambda v: abs(v - 0.5))


def _rank(size: str) -> int:
    """Return the place of a speech model in the order of sizes, -1 where it has none."""
    return next((n for n, name in enumerate(WHISPER_ORDER) if name in size), -1)
