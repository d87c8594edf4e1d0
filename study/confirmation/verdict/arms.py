"""This module makes the arms of a confirmation of its pairs: every figure of every launch; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from objectives.figures import CAPACITY, latency_p95_names
from study.confirmation.records import Pair
from study.rule.pairs import LOST, ROLES, Arms, Key, Role
from study.rule.rule import Rule


def arms_of(pairs: Sequence[Pair], rule: Rule) -> dict[Key, Arms]:
    """Return what the rule asks for: by workload and flat name, the figure of both arms."""
    names = {CAPACITY, *latency_p95_names(rule.weights), *rule.limits, *rule.watched}
    return {
        (workload, name): Arms(
            tuple(_value(pair, "baseline", workload, name) for pair in pairs),
            tuple(_value(pair, "winner", workload, name) for pair in pairs),
            _at_least(pairs, workload) if name == CAPACITY else (),
        )
        for workload in rule.workloads
        for name in sorted(names)
    }


def _value(pair: Pair, role: Role, workload: str, name: str) -> float | None:
    """Return a figure of a launch; None where it was not measured.

    A baseline whose ramp never broke has a capacity that is not known: it may be any more. Where no
    rate is good the capacity is 0.
    """
    measured = pair.of(role).measured.get(workload)
    if measured is None:
        return None
    is_baseline = role == "baseline" or pair.stage == "aa"
    if name == CAPACITY and is_baseline and measured.capacity_is_lower_bound:
        return None
    value: float | None = measured.capacity_or_0 if name == CAPACITY else measured.figure(name)
    return value


def _at_least(pairs: Sequence[Pair], workload: str) -> tuple[float | None, ...]:
    """Return what the baseline's capacity is at least, where its ramp alone never broke."""
    least = list[float | None]()
    for pair in pairs:
        old, new = (pair.of(role).measured.get(workload) for role in ROLES)
        is_bound = old is not None and old.capacity_is_lower_bound
        is_told = is_bound and new is not None and not new.capacity_is_lower_bound
        least.append(old.capacity_turns_per_s if old is not None and is_told else None)
    return tuple(least) if any(least) else ()


def launch_noise(gains_of_aa: Sequence[float | None]) -> float | None:
    """Return the standard deviation of one launch as a log-ratio, from A/A pairs.

    Their true mean is 0. None where it was not measured.

    >>> round(launch_noise([0.02, -0.02]), 4)
    0.0141
    """
    ratios = [g for g in gains_of_aa if g is not None and g != LOST]
    if not ratios or len(ratios) < len(gains_of_aa):
        return None
    return math.sqrt(fmean(g * g for g in ratios) / 2)
