"""Main effects as people read them: a line a value, a column a figure, and what cannot be told. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from objectives.allocation import SHARE, SPEECH, Allocation, Scalar
from objectives.measurement import Measurement
from study.effects import CARD, Effect, Effects, Given, Observed, UntoldError, configurations, in_order, main_effects
from study.meanings import FIGURES
from study.terminal import label

HEADS: Mapping[str, str] = {  # figures of `Measurement` that have effects, as columns; bounds and shares have none
    "llm_latency_p95_ms": "LLM p95 ms",
    "llm_ttft_p95_ms": "LLM first token p95 ms",
    "llm_tpot_ms": "LLM each token ms",
    "stt_latency_p95_ms": "speech p95 ms",
    "free_memory_mib": "free MiB",
    "stt_wer_pct": "words wrong %",
}
SURE = 0.05
NOTE = (
    "a value: what to expect with it, all other parameters' values weighing the same, and its 95 % interval (± 12 %: "
    "times or divided by 1.12); a parameter: p, by Holm for their number, in brackets where noise could explain it"
)


class Tried(Protocol):
    """A launch, of a study or a recording: what was tried, and what it measured if it worked."""

    @property
    def allocation(self) -> Allocation: ...

    @property
    def measurement(self) -> Measurement | None: ...


@dataclass(frozen=True, slots=True)
class Influence:
    """A table, its first column the parameters and their values indented, and the sentences that belong to it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    said: tuple[str, ...]


def influence(launches: Sequence[Tried], metrics: Sequence[str] = tuple(HEADS)) -> Influence:
    """What each parameter does to these figures; one that never differs or cannot be told is said and not shown."""
    observed, failed = _observed(launches)
    cards = _cards(launches)
    on = f" on {len(cards)} cards" if len(cards) > 1 else ""
    some = f", {len(failed)} of which failed and are left out" if failed else ", none of which failed"
    said = [f"{len({str(x.allocation) for x in launches})} configurations in {len(launches)} launches{on}{some}"]
    shown: dict[str, Effects] = {}
    for metric in metrics:
        title, unit, digits = FIGURES[metric]
        values = {v for _, m in observed if (v := getattr(m, metric)) is not None}
        if not values:
            said.append(f"{title}: not measured")
            continue
        if len(values) == 1:
            said.append(f"{title}: {values.pop():,.{digits}f} {unit} wherever it was measured")
            continue
        lost = sum(math.isinf(getattr(m, metric) or 0.0) for _, m in observed)
        without = f"; {lost} launches without an end to it are left out" if lost else ""
        try:
            shown[metric] = told = main_effects(observed, metric)
        except UntoldError as why:
            said.append(f"{title}: cannot be told, {why}{without}")
            continue
        left, noise = _spread(told.residual, metric), "not known, none was launched twice"
        if told.noise is not None:
            noise = f"{_spread(told.noise, metric)}, by {told.again} that one card launched again"
        said.append(f"{title}: {left} are left unexplained; noise of one launch: {noise}{without}")
    rows = _rows(shown, observed, failed)
    return Influence(("", *(HEADS[m] for m in shown)), tuple(rows), (*([NOTE] if rows else []), *said))


def _rows(shown: Mapping[str, Effects], observed: Observed, failed: Sequence[Given]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    tried = [*failed, *(given for given, _ in observed)]
    for name in dict.fromkeys(e.parameter for told in shown.values() for e in told.of):
        effects = {m: next((e for e in told.of if e.parameter == name), None) for m, told in shown.items()}
        rows.append((label(name), *(_sure(e) for e in effects.values())))
        for value in sorted({given[name] for given in tried if name in given}, key=in_order):
            worked = configurations(given for given, _ in observed if given[name] == value)
            lost = configurations(given for given in failed if given.get(name) == value)
            named = f"  {100 * float(value):g} %" if name == SHARE else f"  {value}"
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
    digits = FIGURES[metric][2]
    spread = f"{100 * level.half_width:.0f} %" if metric.endswith("_ms") else f"{level.half_width:,.{digits}f}"
    return f"{level.mean:,.{digits}f} ± {spread}"


def _spread(sd: float, metric: str) -> str:
    _, unit, digits = FIGURES[metric]
    return f"{100 * sd:.1f} %" if metric.endswith("_ms") else f"{sd:,.{digits}f} {unit}".strip()
