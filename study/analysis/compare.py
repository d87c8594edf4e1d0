"""This module compares two configurations figure by figure: today's with another one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from objectives.figures import CAPACITY, Direction, figure, figures_of, shown
from study.analysis.common_cards import on_common_cards
from study.analysis.configurations import Configuration, configuration_of
from study.analysis.decision import Decision
from study.analysis.noise import noise_of
from study.analysis.promotion_eligibility import ineligibility
from study.storage.context import StudyContext

FREE = "free_memory_mib"  # a greater share takes it by definition: neither better nor worse
SAME_PCT = 1.0  # a smaller difference is called none

# of recordings of 0.1 these are not known, and one line says so, the capacity's
OF_TURNS = ("turn_ttft_p95_ms", "goodput_pct", "concurrent_capacity")
OF_RAMPS = (CAPACITY, "concurrent_capacity")  # None where no rate of turns is good


class FigureVerdict(StrEnum):
    """A verdict says how another configuration's figure stands to today's."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"
    ABOUT_EQUAL = "about_equal"
    WITHIN_NOISE = "within_noise"
    NEUTRAL = "neutral"  # it differs, and neither is better
    BOUND = "bound"  # a lower bound leaves open which has more
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference is that of one figure of two configurations, in the figure's own unit.

    Args:
        name: Of the figure, flat.
        old, new: Today's mean and the other's; None where it was not measured.
        verdict: What the difference says.
        noise: Half of the interval of the difference; None where too little was launched again.
        old_is_bound: Whether the old figure is only a lower bound.
        new_is_bound: Whether the new one is.
        old_has_no_rate: Whether the old figure is none since no rate of turns is good.
        new_has_no_rate: Whether the new one is.
    """

    name: str
    old: float | None
    new: float | None
    verdict: FigureVerdict
    noise: float | None = None
    old_is_bound: bool = False
    new_is_bound: bool = False
    old_has_no_rate: bool = False
    new_has_no_rate: bool = False

    @property
    def pct(self) -> float | None:
        """Return the difference in percent of today's; None where that is 0 or not measured."""
        if not self.old or self.new is None:
            return None
        return 100 * (self.new - self.old) / self.old


def closest_rival(
    configurations: Sequence[Configuration], decision: Decision, context: StudyContext
) -> Configuration | None:
    """Return the winner; where the baseline stays, what came closest to it, eligible or not."""
    if decision.winner is not None:
        return configuration_of(decision.winner.allocation, configurations)
    today = configuration_of(context.baseline, configurations)
    others = [c for c in configurations if c.is_feasible and c is not today]
    return max(
        others, key=lambda c: (ineligibility(c, context) is None, c.fitness or 0.0), default=None
    )


def figure_differences(
    today: Configuration,
    other: Configuration,
    configurations: Sequence[Configuration],
    apis: Mapping[str, str],
) -> list[Difference]:
    """Compare every figure that people ask for; of turns only what either has.

    Args:
        today: What is in use.
        other: What is held against it.
        configurations: All that was launched, whose repeats give the noise too.
        apis: The API of each service, in the order in which people see them.
    """
    common = on_common_cards(today, other, configurations)
    differences = [_difference(name, *common) for name in shown(figures_of(apis))]
    return [d for d in differences if d.name not in OF_TURNS or (d.old, d.new) != (None, None)]


def difference(
    name: str,
    today: Configuration,
    other: Configuration,
    configurations: Sequence[Configuration],
) -> Difference:
    """Compare one figure of both; the arguments are those of `figure_differences`."""
    return _difference(name, *on_common_cards(today, other, configurations))


def _difference(
    name: str,
    today: Configuration,
    other: Configuration,
    configurations: Sequence[Configuration],
) -> Difference:
    """Compare one figure of both on the cards that they have in common."""
    old, new = today.mean(name), other.mean(name)
    noise = noise_of(name, today, other, configurations)
    verdict = _verdict(name, old, new, noise)
    if name not in OF_RAMPS:
        return Difference(name, old, new, verdict, noise)
    none = today.has_no_good_rate, other.has_no_good_rate
    bounds = today.is_lower_bound, other.is_lower_bound
    if name != CAPACITY:
        bounds = False, False
    elif not is_capacity_order_known(today, other):
        verdict = FigureVerdict.BOUND
    return Difference(name, old, new, verdict, noise, *bounds, *none)


def _verdict(name: str, old: float | None, new: float | None, noise: float | None) -> FigureVerdict:
    if old is None or new is None or not math.isfinite(old + new):
        return FigureVerdict.NOT_MEASURED
    if new == old:
        return FigureVerdict.EQUAL
    if old and abs(100 * (new - old) / old) < SAME_PCT:
        return FigureVerdict.ABOUT_EQUAL
    if name == FREE or figure(name).direction is Direction.NEUTRAL:
        return FigureVerdict.NEUTRAL
    if noise is not None and abs(new - old) <= noise:
        return FigureVerdict.WITHIN_NOISE
    is_better = (new < old) == (figure(name).direction is Direction.DOWN)
    return FigureVerdict.BETTER if is_better else FigureVerdict.WORSE


def is_capacity_order_known(today: Configuration, other: Configuration) -> bool:
    """Return whether the capacities show which configuration serves more.

    A lower bound can only be more than what is less than it.
    """
    old, new = today.mean(CAPACITY), other.mean(CAPACITY)
    if old is None or new is None:
        return True
    return not ((today.is_lower_bound and new >= old) or (other.is_lower_bound and new <= old))
