"""This module tabulates the main effects: a line for a value, a column for a figure, and notes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from objectives.allocation import MEMORY, SHARE, Scalar
from objectives.errors import SetupError
from objectives.figures import figure
from study.analysis.main_effects.additive_model import (
    FactorLevels,
    NotEstimableError,
    Observations,
    configuration_count,
    is_time,
    sort_key,
)
from study.analysis.main_effects.effects import Effect, Effects, main_effects
from study.report.effects.observations import AnyLaunch, cards_of, observations
from study.wording.allocations import label

SURE = 0.05
UNITS = {MEMORY: " MiB", SHARE: " %"}
EFFECTS_NOTE = (
    "a value, of so many configurations: what to expect with it, all other parameters' values "
    "weighing the same, and its 95 % interval (± 12 %: times or divided by 1.12); a parameter: p, "
    "by Holm for their number, in brackets where noise could explain it; what two parameters do "
    "only together is not in this model"
)


@dataclass(frozen=True, slots=True)
class EffectsTable:
    """The table shows effects, and its notes are the sentences that belong to it.

    Args:
        head: The titles of the columns.
        rows: A parameter, or a value of it, indented, with a cell for each figure.
        notes: The sentences, without full stops.
        parameters: The names that begin the row of a parameter.
        lacks: What must be installed before there is a table; empty where nothing is missing.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    parameters: frozenset[str] = frozenset()
    lacks: str = ""


def influence(launches: Sequence[AnyLaunch], metrics: Sequence[str]) -> EffectsTable:
    """Tabulate what each parameter does to these figures.

    A figure that never differs, or has no effects, gets a note and no column.
    """
    observed, failed = observations(launches)
    notes = [_counts(launches, len(failed))]
    effects: dict[str, Effects] = {}
    for metric in metrics:
        f = figure(metric)
        title, unit, digits = f.title, f.unit, f.digits
        values = {v for _, m in observed if (v := m.figure(metric)) is not None}
        if not values:
            notes.append(f"{title}: not measured")
            continue
        if len(values) == 1:
            notes.append(f"{title}: {values.pop():,.{digits}f} {unit} wherever it was measured")
            continue
        lost = sum(math.isinf(m.figure(metric) or 0.0) for _, m in observed)
        without = f"; {lost} launches without an end to it are left out" if lost else ""
        try:
            effects[metric] = main_effects(observed, metric)
        except NotEstimableError as why:
            notes.append(f"{title}: cannot be told, {why}{without}")
            continue
        except SetupError as missing:
            return EffectsTable(("",), (), (), lacks=str(missing))
        notes.append(f"{title}: {_unexplained(effects[metric], metric)}{without}")
    rows = _rows(effects, observed, failed)
    return EffectsTable(
        head=("", *(figure(m).head for m in effects)),
        rows=tuple(rows),
        notes=(*([EFFECTS_NOTE] if rows else []), *notes),
        parameters=frozenset(map(label, _parameters(effects))),
    )


def _counts(launches: Sequence[AnyLaunch], failed: int) -> str:
    """Say how many configurations were launched how often, on how many cards."""
    cards = cards_of(launches)
    on = f" on {len(cards)} cards" if len(cards) > 1 else ""
    some = f", {failed} of which failed and are left out" if failed else ", none of which failed"
    different = len({str(launch.allocation) for launch in launches})
    return f"{different} configurations in {len(launches)} launches{on}{some}"


def _unexplained(effects: Effects, metric: str) -> str:
    """Say what the model leaves unexplained of a figure, and the noise of one launch."""
    noise = "not known, none was launched twice"
    if effects.noise is not None:
        again = f"{effects.repeat_count} launched again on the same card"
        noise = f"{_spread(effects.noise, metric)}, from {again}"
    left = _spread(effects.residual, metric)
    return f"{left} are left unexplained; noise of one launch: {noise}"


def _parameters(effects: Mapping[str, Effects]) -> list[str]:
    return list(dict.fromkeys(e.parameter for several in effects.values() for e in several.effects))


def _rows(
    effects: Mapping[str, Effects], observed: Observations, failed: Sequence[FactorLevels]
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    settings = [*failed, *(setting for setting, _ in observed)]
    for name in _parameters(effects):
        of_name = {
            metric: next((e for e in several.effects if e.parameter == name), None)
            for metric, several in effects.items()
        }
        rows.append((label(name), *(_p_value(e) for e in of_name.values())))
        for value in sorted({s[name] for s in settings if name in s}, key=sort_key):
            worked = configuration_count(s for s, _ in observed if s[name] == value)
            lost = configuration_count(s for s in failed if s.get(name) == value)
            count = f"{worked}, {lost} failed" if lost else f"{worked}"
            first = f"  {value_in_words(name, value)} ({count})"
            rows.append((first, *(_level(e, value, metric) for metric, e in of_name.items())))
    return rows


def value_in_words(parameter: str, value: Scalar) -> str:
    """Write a value of a parameter as the table shows it: the LLM's memory with its unit."""
    return number_in_words(parameter, value) + UNITS.get(parameter, "")


def number_in_words(parameter: str, value: Scalar) -> str:
    """Write the same without the unit."""
    if parameter == MEMORY:
        return f"{value:,}"
    return f"{100 * float(value):g}" if parameter == SHARE else f"{value}"


def _p_value(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    p = "p < 0.001" if effect.p_value < 0.001 else f"p {effect.p_value:.2g}"
    return p if effect.p_value < SURE else f"({p})"


def _level(effect: Effect | None, value: Scalar, metric: str) -> str:
    level = next((x for x in effect.levels if x.value == value), None) if effect else None
    if level is None:
        return "-"
    digits = figure(metric).digits
    half = level.half_width
    spread = f"{100 * half:.0f} %" if is_time(metric) else f"{half:,.{digits}f}"
    return f"{level.mean:,.{digits}f} ± {spread}"


def _spread(sd: float, metric: str) -> str:
    unit, digits = figure(metric).unit, figure(metric).digits
    return f"{100 * sd:.1f} %" if is_time(metric) else f"{sd:,.{digits}f} {unit}".strip()
