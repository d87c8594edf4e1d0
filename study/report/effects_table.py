"""Main effects as people read them: a line a value, a column a figure, and what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from objectives.allocation import SHARE, SPEECH, Allocation, Scalar
from objectives.errors import BadInput, SetupError
from objectives.figures import FIGURES
from objectives.measurement import Measurement
from study.analysis.additive_model import (
    CARD,
    Given,
    Observed,
    UntoldError,
    configurations,
    in_order,
    is_time,
)
from study.analysis.main_effects import Effect, Effects, differences, main_effects
from study.spec.choices import EFFECT_FIGURES
from study.wording import label

HEADS: Mapping[str, str] = {  # figures that have effects, as columns; bounds and shares have none
    name: FIGURES[name].head for name in EFFECT_FIGURES
}
SURE = 0.05
NOTE = (
    "a value, of so many configurations: what to expect with it, all other parameters' values weighing the same, and "
    "its 95 % interval (± 12 %: times or divided by 1.12); a parameter: p, by Holm for their number, in brackets where "
    "noise could explain it; what two parameters do only together is not in this model"
)
AGAINST = (
    "all other parameters' values weighing the same; 95 % intervals, each for itself: of several, some leave out 1 (or "
    "0) by chance"
)


class Tried(Protocol):
    """A launch, of a study or a recording: what was tried, and what it measured if it worked."""

    @property
    def allocation(self) -> Allocation: ...

    @property
    def measurement(self) -> Measurement | None: ...


@dataclass(frozen=True, slots=True)
class Influence:
    """A table, its first column the parameters and their values indented, and the sentences that belong to it.

    lacks: what must be installed before there is a table; empty where nothing is missing
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    said: tuple[str, ...]
    lacks: str = ""


def influence(launches: Sequence[Tried], metrics: Sequence[str] = tuple(HEADS)) -> Influence:
    """What each parameter does to these figures; one that never differs or cannot be told is said and not shown."""
    observed, failed = _observed(launches)
    cards = _cards(launches)
    on = f" on {len(cards)} cards" if len(cards) > 1 else ""
    some = (
        f", {len(failed)} of which failed and are left out" if failed else ", none of which failed"
    )
    said = [
        f"{len({str(x.allocation) for x in launches})} configurations in {len(launches)} launches{on}{some}"
    ]
    shown: dict[str, Effects] = {}
    for metric in metrics:
        title, unit, digits = FIGURES[metric].title, FIGURES[metric].unit, FIGURES[metric].digits
        values = {v for _, m in observed if (v := m.figure(metric)) is not None}
        if not values:
            said.append(f"{title}: not measured")
            continue
        if len(values) == 1:
            said.append(f"{title}: {values.pop():,.{digits}f} {unit} wherever it was measured")
            continue
        lost = sum(math.isinf(m.figure(metric) or 0.0) for _, m in observed)
        without = f"; {lost} launches without an end to it are left out" if lost else ""
        try:
            shown[metric] = told = main_effects(observed, metric)
        except UntoldError as why:
            said.append(f"{title}: cannot be told, {why}{without}")
            continue
        except SetupError as missing:
            return Influence(("",), (), (), lacks=str(missing))
        left, noise = _spread(told.residual, metric), "not known, none was launched twice"
        if told.noise is not None:
            noise = (
                f"{_spread(told.noise, metric)}, from {told.again} launched again on the same card"
            )
        said.append(f"{title}: {left} are left unexplained; noise of one launch: {noise}{without}")
    rows = _rows(shown, observed, failed)
    return Influence(
        ("", *(HEADS[m] for m in shown)), tuple(rows), (*([NOTE] if rows else []), *said)
    )


def versus(launches: Sequence[Tried], metrics: Sequence[str], wanted: str) -> Influence:
    """Each other value of a parameter against one, as a factor of times, with 95 % intervals.

    wanted: the parameter as a spec names it, or the card, and the value: "vllm_memory_util=0.525"
    raises: BadInput where that value was not measured beside others; SetupError where statsmodels is not installed
    """
    observed, _ = _observed(launches)
    known = dict.fromkeys(name for given, _ in observed for name in given)
    short, is_named, text = wanted.partition("=")
    parameter = next((name for name in known if short in (name, label(name))), None)
    if parameter is None or not is_named:
        raise BadInput(f"--versus {wanted}: write NAME=VALUE, NAME one of {', '.join(known)}")
    values = sorted({given[parameter] for given, _ in observed if parameter in given}, key=in_order)
    value = next(
        (v for v in values if text in (str(v), _named(parameter, v).removesuffix(" %"))), None
    )
    if value is None:
        raise BadInput(
            f"--versus {wanted}: the values of {parameter} are {', '.join(map(str, values))}"
        )
    told, said = dict[str, dict[Scalar, tuple[float, ...]]](), list[str]()
    for metric in metrics:
        if len({m.figure(metric) for _, m in observed} - {None}) < 2:
            said.append(f"{FIGURES[metric].title}: the same wherever it was measured")
            continue
        try:
            told[metric] = differences(observed, metric, parameter, value)
        except UntoldError as why:
            said.append(f"{FIGURES[metric].title}: cannot be told, {why}")
    others = sorted({v for of in told.values() for v in of}, key=in_order)
    if not others:
        raise BadInput(f"--versus {wanted}: {'; '.join(said)}")
    rows = [
        (_named(parameter, v), *(_against(of.get(v), metric) for metric, of in told.items()))
        for v in others
    ]
    return Influence(
        (f"against {_named(parameter, value)}", *(HEADS[m] for m in told)),
        tuple(rows),
        (AGAINST, *said),
    )


def _named(parameter: str, value: Scalar) -> str:
    return f"{100 * float(value):g} %" if parameter == SHARE else f"{value}"


def _against(found: tuple[float, ...] | None, metric: str) -> str:
    if found is None:
        return "-"
    if is_time(metric):
        return f"x {found[0]:.2f} ({found[1]:.2f} to {found[2]:.2f})"
    digits = FIGURES[metric].digits
    return f"{found[0]:+,.{digits}f} ({found[1]:+,.{digits}f} to {found[2]:+,.{digits}f})"


def _rows(
    shown: Mapping[str, Effects], observed: Observed, failed: Sequence[Given]
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    tried = [*failed, *(given for given, _ in observed)]
    for name in dict.fromkeys(e.parameter for told in shown.values() for e in told.of):
        effects = {
            m: next((e for e in told.of if e.parameter == name), None) for m, told in shown.items()
        }
        rows.append((label(name), *(_sure(e) for e in effects.values())))
        for value in sorted({given[name] for given in tried if name in given}, key=in_order):
            worked = configurations(given for given, _ in observed if given[name] == value)
            lost = configurations(given for given in failed if given.get(name) == value)
            named = f"  {_named(name, value)}"
            named += f" ({worked})" if not lost else f" ({worked}, {lost} failed)"
            rows.append((named, *(_level(e, value, m) for m, e in effects.items())))
    return rows


def _observed(launches: Sequence[Tried]) -> tuple[Observed, list[Given]]:
    """What each launch was given, the two classic parameters first, with what it measured; and where it failed."""
    cards = _cards(launches)
    letters = next(n for n in range(8, 999) if len({card[:n] for card in cards}) == len(cards))
    found: list[tuple[Given, Measurement]] = []
    failed: list[Given] = []
    for x in launches:
        values = x.allocation.values
        given = {name: values[name] for name in dict.fromkeys((SHARE, SPEECH, *sorted(values)))}
        if x.measurement is None:
            failed.append(given)
        else:
            given |= {CARD: _card(x.measurement)[:letters]} if len(cards) > 1 else {}
            found.append((given, x.measurement))
    return found, failed


def _cards(launches: Sequence[Tried]) -> set[str]:
    """Those that measured something; what failed does not tell its card."""
    return {_card(x.measurement) for x in launches if x.measurement is not None}


def _card(measurement: Measurement) -> str:
    return measurement.measured_on or "unknown"  # before it was kept


def _sure(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    p = "p < 0.001" if effect.p_value < 0.001 else f"p {effect.p_value:.2g}"
    return p if effect.p_value < SURE else f"({p})"


def _level(effect: Effect | None, value: Scalar, metric: str) -> str:
    level = next((x for x in effect.levels if x.value == value), None) if effect else None
    if level is None:
        return "-"
    digits = FIGURES[metric].digits
    spread = (
        f"{100 * level.half_width:.0f} %"
        if metric.endswith("_ms")
        else f"{level.half_width:,.{digits}f}"
    )
    return f"{level.mean:,.{digits}f} ± {spread}"


def _spread(sd: float, metric: str) -> str:
    unit, digits = FIGURES[metric].unit, FIGURES[metric].digits
    return f"{100 * sd:.1f} %" if metric.endswith("_ms") else f"{sd:,.{digits}f} {unit}".strip()
