"""This module writes what a rule found as plain data for a file; pure.

Gains are in percent of the baseline, positive is better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from objectives.figures import Direction, figure
from study.confirmation.records import Pair, PairsJournal
from study.confirmation.verdict.arms import arms_of, launch_noise
from study.confirmation.verdict.wording import DIRECTIONS, gain_pct
from study.rule.intervals import Interval, geometric_mean, interval
from study.rule.pairs import Arms, known
from study.rule.rule import Rule, confidence
from study.rule.verdict import RuleVerdict


def causes(verdict: RuleVerdict) -> list[dict[str, str | float]]:
    """Return what is against the winner, or open, without what a cause does not have."""
    return [
        {
            k: str(v) if isinstance(v, str) else v
            for k, v in asdict(c).items()
            if v not in ("", None)
        }
        for c in verdict.causes
    ]


def claims(verdict: RuleVerdict, rule: Rule) -> dict[str, dict[str, Any]]:
    """Return what is known of each claim, by its name."""
    level = confidence(verdict.look, among=len(rule.claims)) if verdict.look else None
    return {
        c.claim.value: {
            "is_won": c.is_won,
            "confidence": level,
            "main": _gain(c.main, DIRECTIONS[c.claim]),
            "mean_of_held_out": _gain(c.held_out, DIRECTIONS[c.claim]),
            "worse_under": list(c.worse_under),
            "pairs_without": dict(c.missing),
        }
        for c in verdict.claims
    }


def limits(verdict: RuleVerdict) -> dict[str, dict[str, Any]]:
    """Return how the winner stands to each limit, by workload and flat name."""
    standings: dict[str, dict[str, Any]] = {}
    for f in verdict.limits:
        standings.setdefault(f.workload, {})[f.figure] = {
            "standing": f.standing.value,
            "limit_ms": f.limit_ms,
            "next_launch_ms": rounded(f.next_launch_ms),
            "baseline_ms": rounded(f.baseline_ms),
        }
    return standings


def worse(verdict: RuleVerdict) -> dict[str, list[str]]:
    """Return the flat names of what is shown to be worse, by workload."""
    names: dict[str, list[str]] = {}
    for f in verdict.worse:
        names.setdefault(f.workload, []).append(f.figure)
    return names


def figures(
    journal: PairsJournal, verdict: RuleVerdict, rule: Rule, pairs: Sequence[Pair]
) -> dict[str, dict[str, Any]]:
    """Return every figure that the pairs have, by workload and flat name, with one interval."""
    level = confidence(max(1, verdict.look))
    of_aa, entries = arms_of(journal.of("aa"), rule), dict[str, dict[str, Any]]()
    for (workload, name), arms in arms_of(pairs, rule).items():
        if not arms.is_measured:
            continue
        if rule.is_alone:
            own = {"winner": _middle((*arms.baseline, *arms.winner)), "pairs": len(arms.winner)}
            entries.setdefault(workload, {})[name] = own
            continue
        direction = figure(name).direction
        gains = arms.gains(direction)
        entries.setdefault(workload, {})[name] = {
            "baseline": _middle(arms.baseline),
            "winner": _middle(arms.winner),
            **(_gain(interval(known(gains), level), direction) or {}),
            "pairs": len(known(gains)),
            "launch_noise_pct": _noise_pct(of_aa[workload, name], direction),
        }
    return entries


def not_measured(rule: Rule, pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """Return the flat names of what no launch has, by workload; nothing before the first pair."""
    names: dict[str, list[str]] = {}
    for (workload, name), arms in arms_of(pairs, rule).items() if pairs else ():
        if not arms.is_measured:
            names.setdefault(workload, []).append(name)
    return names


def _noise_pct(arms: Arms, direction: Direction) -> float | None:
    noise = launch_noise(arms.gains(direction))
    return None if noise is None else rounded(100 * noise)


def _gain(gain: Interval | None, direction: Direction) -> dict[str, float | None] | None:
    if gain is None:
        return None
    parts = {"gain_pct": gain.mean, "low_pct": gain.low, "high_pct": gain.high}
    return {name: rounded(gain_pct(direction, x)) for name, x in parts.items()}


def _middle(values: Sequence[float | None]) -> float | None:
    """Return the geometric mean; None where a launch has no finite figure."""
    numbers = [v for v in values if v is not None]
    return rounded(geometric_mean(numbers)) if numbers and len(numbers) == len(values) else None


def rounded(value: float | None, digits: int = 2) -> float | None:
    """Round a figure for a file; what is not finite was not measured."""
    return None if value is None or math.isinf(value) else round(value, digits) + 0.0
