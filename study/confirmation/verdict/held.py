"""This module says what was held at a constant rate, and which rate is to be held next; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from objectives.capacity.holds import Hold, next_rate, proven_hold
from objectives.figures import CAPACITY
from study.confirmation.records import Pair, PairsJournal
from study.confirmation.verdict.arms import arms_of
from study.rule.held import HeldRates
from study.rule.intervals import geometric_mean
from study.rule.pairs import ROLES, Role
from study.rule.rule import Rule


def next_hold(
    journal: PairsJournal, pairs: Sequence[Pair], rule: Rule
) -> tuple[Role, float] | None:
    """Return whose servers hold which rate next, turns/s; None after the last.

    Args:
        journal: What is measured so far.
        pairs: The pairs that the verdict stands on, whose ramps told the capacities.
        rule: It names the study's own workload.
    """
    arms = arms_of(pairs, rule)[rule.main, CAPACITY]
    for role, values in zip(ROLES, (arms.baseline, arms.winner), strict=True):
        known = [v for v in values if v]
        holds = [h.hold for h in journal.holds_of(role)]
        per_s = next_rate(geometric_mean(known), holds) if known else None
        if per_s is not None:
            return role, per_s
    return None


def held_rates(journal: PairsJournal, pairs: Sequence[Pair], rule: Rule) -> HeldRates:
    """Return what the holds so far have proven."""
    baseline, winner = (_proven(journal, role) for role in ROLES)
    return HeldRates(
        baseline.rate_per_s if baseline else None,
        winner.rate_per_s if winner else None,
        is_whole=next_hold(journal, pairs, rule) is None,
    )


def holds_in_words(journal: PairsJournal) -> str | None:
    """Say what both allocations held; None where the winner was not asked to hold a rate yet."""
    if not journal.holds_of("winner"):
        return None
    baseline = _proven(journal, "baseline")
    today = "none of its rates" if baseline is None else f"{baseline.rate_per_s:.2f}"
    winner = _proven(journal, "winner")
    if winner is None:
        rates = ", ".join(f"{h.hold.rate_per_s:.2f}" for h in journal.holds_of("winner"))
        return f"the winner holds none of {rates} turns/s; the baseline {today}"
    return (
        f"the winner holds {winner.rate_per_s:.2f} turns/s for {winner.hold_s:g} s with "
        f"{winner.good_pct:.1f} % good; the baseline {today}"
    )


def holds_data(journal: PairsJournal) -> dict[str, Any] | None:
    """Return every hold for a file, by role; None where none was measured."""
    if not journal.holds:
        return None
    of_role: dict[str, Any] = {
        role: [
            {**asdict(h.hold), "good_pct": h.hold.good_pct, "is_held": h.hold.is_held}
            for h in journal.holds_of(role)
        ]
        for role in ROLES
    }
    return {"says": holds_in_words(journal), **of_role}


def _proven(journal: PairsJournal, role: Role) -> Hold | None:
    return proven_hold([h.hold for h in journal.holds_of(role)])
