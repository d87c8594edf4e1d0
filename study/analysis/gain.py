"""A gain says by how much one configuration is better, as one figure with one interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from objectives.figures import CAPACITY, flat_name
from study.analysis.common_cards import mean_by_card, on_common_cards
from study.analysis.compare import is_capacity_order_known
from study.analysis.configurations import Configuration
from study.analysis.noise import half_width_between, launched_again
from study.analysis.segment_noise import WithinLaunch, within_launch
from study.rule.rule import Claim

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Gain:
    """A gain is the logarithm of a ratio of two configurations; above 0 is better.

    Args:
        figure: What is compared: capacity, or latency as one number.
        log_ratio: The mean of the one's launches less that of the other's.
        half_width: Half of its interval; None where too little was launched again to tell.
        confidence: The confidence of the interval.
        is_at_least: Whether the capacity of the better one is only a lower bound.
    """

    figure: Claim
    log_ratio: float
    half_width: float | None
    confidence: float
    is_at_least: bool = False

    @property
    def pct(self) -> float:
        """Return it in percent of the other's: so much more capacity, so much less time."""
        return self._pct(self.log_ratio)

    @property
    def interval_pct(self) -> tuple[float, float] | None:
        """Return its interval in percent; None where that is not known."""
        if self.half_width is None:
            return None
        ends = (self.log_ratio - self.half_width, self.log_ratio + self.half_width)
        return self._pct(ends[0]), self._pct(ends[1])

    @property
    def is_shown(self) -> bool:
        """Return whether the whole interval is above 0."""
        return self.half_width is not None and self.log_ratio > self.half_width

    def _pct(self, log_ratio: float) -> float:
        """Return a log-ratio in percent.

        >>> round(Gain(Claim.LATENCY, math.log(1.25), None, 0.95).pct)
        20
        >>> round(Gain(Claim.CAPACITY, math.log(1.25), None, 0.95).pct)
        25
        """
        is_time = self.figure is Claim.LATENCY
        return -100 * math.expm1(-log_ratio) if is_time else 100 * math.expm1(log_ratio)


def gain_of(
    other: Configuration,
    today: Configuration,
    configurations: Sequence[Configuration],
    weights: Mapping[str, float],
    claim: Claim,
) -> Gain | None:
    """Return the one gain that is told of a configuration over another.

    Where either is enough and both are known, both are looked at, with half the error each. The
    one that is shown is told, capacity first; where neither is, the greater one. None where what
    is claimed is not known of both.

    Args:
        other: The configuration that may be better.
        today: What it is held against.
        configurations: All that was launched, whose repeats give the noise too.
        weights: The weight of each service in the latency.
        claim: What must be better.
    """
    today, other, configurations = on_common_cards(today, other, configurations)
    known = [f for f in claim.parts if _is_known(f, other, today, weights)]
    confidence = 1 - (1 - CONFIDENCE) / max(1, len(known))
    gains = [_gain(f, other, today, configurations, weights, confidence) for f in known]
    shown = (gain for gain in gains if gain.is_shown)
    return next(shown, max(gains, key=lambda gain: gain.log_ratio, default=None))


def gain_in(
    what: Claim,
    other: Configuration,
    today: Configuration,
    configurations: Sequence[Configuration],
    weights: Mapping[str, float],
) -> Gain | None:
    """Return the gain in one figure; None where that is not known of both."""
    today, other, configurations = on_common_cards(today, other, configurations)
    if not _is_known(what, other, today, weights):
        return None
    return _gain(what, other, today, configurations, weights, CONFIDENCE)


def _is_known(
    what: Claim, other: Configuration, today: Configuration, weights: Mapping[str, float]
) -> bool:
    if what is Claim.CAPACITY and (
        today.is_lower_bound or not is_capacity_order_known(today, other)
    ):
        return False
    return all(_logarithms(what, c, weights) for c in (other, today))


def _gain(
    what: Claim,
    other: Configuration,
    today: Configuration,
    configurations: Sequence[Configuration],
    weights: Mapping[str, float],
    confidence: float,
) -> Gain:
    old, new = (_logarithms(what, c, weights) for c in (today, other))
    is_capacity = what is Claim.CAPACITY
    works = launched_again(configurations, is_capacity=is_capacity)
    groups = [_logarithms(what, c, weights) for c in works]
    within = WithinLaunch()  # a ramp has no segments
    if not is_capacity:
        shares = _shares(weights)
        within = within_launch(today, other, works, lambda segment: _logarithm(segment, shares))
    half = half_width_between(old, new, groups, within, confidence=confidence)
    is_at_least = is_capacity and other.is_lower_bound
    gain = mean_by_card(other, new) - mean_by_card(today, old)
    return Gain(what, gain, half, confidence, is_at_least)


def _logarithms(
    what: Claim, configuration: Configuration, weights: Mapping[str, float]
) -> list[float]:
    """Return one number a launch, larger is better; none at all where a launch has none."""
    records = [t.measurement for t in configuration.measured if t.measurement is not None]
    if what is Claim.CAPACITY:
        values = [m.figure(CAPACITY) for m in records]
        if not all(isinstance(v, int | float) and v > 0 for v in values):
            return []
        return [math.log(v) for v in values if v]
    shares = _shares(weights)
    numbers = [_logarithm({name: m.figure(name) for name in shares}, shares) for m in records]
    return [n for n in numbers if n is not None] if None not in numbers else []


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Return by what share each service's p95 counts, by its flat name; none that counts nothing.

    Without any weight, all services count alike.
    """
    total = math.fsum(weights.values())
    shares = {s: w / total if total else 1 / len(weights) for s, w in weights.items()}
    return {flat_name(s, "latency_p95_ms"): share for s, share in shares.items() if share}


def _logarithm(
    latencies_ms: Mapping[str, float | None], shares: Mapping[str, float]
) -> float | None:
    """Return the weighed mean of the latencies' logarithms, larger is better; None without one."""
    terms = []
    for name, share in shares.items():
        ms = latencies_ms.get(name)
        if not ms or not math.isfinite(ms):
            return None
        terms.append(share * math.log(ms))
    return -math.fsum(terms) if terms else None
