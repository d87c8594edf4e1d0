"""Main effects as people read them: a line a value, a column a figure, and what cannot be told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from objectives.allocation import SHARE, SPEECH, Scalar
from study.cost import Launch
from study.effects import Effect, Effects, Observed, in_order, main_effects
from study.meanings import FIGURES
from study.terminal import SHORT

SHOWN = ("llm_latency_p95_ms", "llm_ttft_p95_ms", "llm_tpot_ms", "stt_latency_p95_ms", "stt_wer_pct")
CARD = "card"
SURE = 0.05
Row = tuple[str, ...]


def head(metrics: Iterable[str]) -> Row:
    """The columns' titles."""
    return ("", *(f"{FIGURES[m][0]}, {FIGURES[m][1]}" if FIGURES[m][1] else FIGURES[m][0] for m in metrics), "sessions")


def rows(launches: Sequence[Launch], metrics: Sequence[str]) -> list[Row]:
    """A line a parameter, with how sure it is that it matters, then a line a value of it."""
    observed = _observed(launches)
    found = [main_effects(observed, metric) for metric in metrics]
    names = list(dict.fromkeys(e.parameter for told in found if told for e in told.of))
    lines: list[Row] = []
    for name in names:
        effects = [_of(told, name) for told in found]
        lines.append((SHORT.get(name, name), *(_sure(e) for e in effects), ""))
        for value in sorted({values[name] for values, _ in observed}, key=in_order):
            those = [(values, m) for values, m in observed if values[name] == value]
            configurations = {frozenset(values.items() - {(CARD, values.get(CARD))}) for values, _ in those}
            cells = (_level(e, value, m) for e, m in zip(effects, metrics, strict=True))
            lines.append((f"  {_named(name, value)} ({len(configurations)})", *cells, _sessions(those)))
    return lines


def said(launches: Sequence[Launch], metrics: Sequence[str]) -> list[str]:
    """What stands beside the table: how much was measured, the noise, what has no effects to tell."""
    observed = _observed(launches)
    configurations, cards = {str(x.allocation) for x in launches}, {x.card for x in launches}
    on = f" on {len(cards)} cards" if len(cards) > 1 else ""
    failed = len(launches) - len(observed)
    lines = [f"{len(configurations)} configurations in {len(launches)} launches{on}, {failed} of which failed"]
    for metric in metrics:
        told = main_effects(observed, metric)
        if told is None:
            lines.append(f"{FIGURES[metric][0]}: too little was measured, or parameters always changed together")
            continue
        scatter = f"configurations scatter by {_spread(told.residual, metric)} around these effects"
        noise = "nothing was launched twice" if told.noise is None else f"a launch by {_spread(told.noise, metric)}"
        lines.append(f"{FIGURES[metric][0]}: {scatter}; {noise}")
    return lines


def _observed(launches: Sequence[Launch]) -> Observed:
    """What each launch was given, the two classic parameters first, and the card where there were several."""
    several = len({x.card for x in launches}) > 1
    return [
        (
            {name: x.allocation.values[name] for name in (SHARE, SPEECH, *sorted(x.allocation.values))}
            | ({CARD: (x.card or "unknown")[:8]} if several else {}),
            x.measurement,
        )
        for x in launches
        if x.measurement is not None
    ]


def _of(told: Effects | None, name: str) -> Effect | None:
    return next((e for e in told.of if e.parameter == name), None) if told else None


def _sure(effect: Effect | None) -> str:
    if effect is None:
        return "-"
    p = "p < 0.001" if effect.p_value < 0.001 else f"p {effect.p_value:.2g}"
    return p if effect.p_value < SURE else f"not shown, {p}"


def _level(effect: Effect | None, value: Scalar, metric: str) -> str:
    level = next((x for x in effect.levels if x.value == value), None) if effect else None
    if level is None:
        return "-"
    digits = FIGURES[metric][2]
    spread = f"{100 * level.half_width:.0f} %" if metric.endswith("_ms") else f"{level.half_width:.{digits}f}"
    return f"{level.mean:,.{digits}f} ± {spread}"


def _spread(sd: float, metric: str) -> str:
    _, unit, digits = FIGURES[metric]
    return f"{100 * sd:.1f} %" if metric.endswith("_ms") else f"{sd:.{digits}f} {unit}".strip()


def _named(name: str, value: Scalar) -> str:
    return f"{100 * float(value):g} %" if name == SHARE else str(value)


def _sessions(observed: Observed) -> str:
    """The least and the most of all launches; a ladder that its clock ended gives a bound, and those have no mean."""
    found = [m for _, m in observed if m.concurrent_capacity is not None]
    if not found:
        return "-"
    counts = [m.concurrent_capacity or 0 for m in found]
    bounds = sum(bool(m.capacity_is_lower_bound) for m in found)
    span = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return f"{span}, {bounds} of {len(found)} ≥" if bounds else span
