"""A capacity that pairs show is confirmed only where it is held at a constant rate; pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from study.rule.rule import Claim
from study.rule.verdict import Cause, RuleVerdict, VerdictReason, VerdictStatus


@dataclass(frozen=True, slots=True)
class HeldRates:
    """Held rates are what the holds of both allocations have proven.

    Args:
        baseline_per_s: The highest rate that the baseline held, turns/s; None where it held none.
        winner_per_s: The same of the winner.
        is_whole: Whether no hold is left to measure.
    """

    baseline_per_s: float | None = None
    winner_per_s: float | None = None
    is_whole: bool = False


def needs_holds(verdict: RuleVerdict) -> bool:
    """Return whether the pairs confirm a capacity, which holds have to prove."""
    is_won = any(c.claim is Claim.CAPACITY for c in verdict.won)
    return is_won and verdict.status is VerdictStatus.CONFIRMED


def after_holds(verdict: RuleVerdict, held: HeldRates) -> RuleVerdict:
    """Return the verdict of the pairs as the holds leave it.

    A capacity is not won where the winner holds no rate above the one that the baseline holds. What
    else is won stays so.

    Args:
        verdict: What the pairs say.
        held: What the holds say.
    """
    if not needs_holds(verdict):
        return verdict
    if not held.is_whole:
        open_cause = Cause(VerdictReason.HOLDS_NOT_MEASURED, name=Claim.CAPACITY)
        return replace(verdict, status=VerdictStatus.INCONCLUSIVE, causes=(open_cause,))
    if held.winner_per_s is not None and held.winner_per_s > (held.baseline_per_s or 0.0):
        return verdict
    claims = tuple(
        replace(c, is_won=c.is_won and c.claim is not Claim.CAPACITY) for c in verdict.claims
    )
    if any(c.is_won for c in claims):
        return replace(verdict, claims=claims)
    cause = Cause(VerdictReason.CAPACITY_NOT_HELD, name=Claim.CAPACITY, value=held.baseline_per_s)
    return replace(verdict, status=VerdictStatus.INCONCLUSIVE, causes=(cause,), claims=claims)
