"""`RuleVerdict` is the answer, with a typed reason for all that is against it or open; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from study.rule.claims import ClaimFinding
from study.rule.limits import LimitFinding
from study.rule.watched import WorseFigure


class VerdictStatus(StrEnum):
    """A status says what came of the pairs."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"


class VerdictReason(StrEnum):
    """A reason says what rules a winner out, or keeps it from being confirmed."""

    # these reject
    WINNER_FAILED = "winner_failed"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED_REQUESTS = "failed_requests"
    WORDS_WORSE = "words_worse"
    FREE_MEMORY = "free_memory"
    CLAIM_WORSE = "claim_worse"
    LIMIT_BROKEN = "limit_broken"
    WATCHED_WORSE = "watched_worse"  # or keeps it open, where only one interval shows it
    # these keep it open
    BASELINE_FAILED = "baseline_failed"
    TODAY_WORKS = "today_works"
    TODAY_NOT_LAUNCHED = "today_not_launched"
    DRIFT = "drift"
    FAILED_NOT_COUNTED = "failed_not_counted"
    WORDS_UNSURE = "words_unsure"
    WORDS_NOT_MEASURED = "words_not_measured"
    FREE_MEMORY_NOT_MEASURED = "free_memory_not_measured"
    TOO_FEW_PAIRS = "too_few_pairs"
    NO_GOOD_RATE = "no_good_rate"  # rejects where capacity is shown to be worse by it
    HOLDS_NOT_MEASURED = "holds_not_measured"
    CAPACITY_NOT_HELD = "capacity_not_held"
    CLAIM_NOT_MEASURED = "claim_not_measured"
    CLAIM_NOT_SHOWN = "claim_not_shown"
    HELD_OUT_NOT_SHOWN = "held_out_not_shown"
    HELD_OUT_WORSE = "held_out_worse"
    LIMIT_NOT_MEASURED = "limit_not_measured"
    LIMIT_NOT_SHOWN = "limit_not_shown"
    FIGURE_LOST = "figure_lost"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause is a reason with its detail.

    Args:
        reason: The reason.
        workload: The workload it was seen under; empty for all.
        name: The figure, the claim, the class of a failure, or whose launches have no good rate;
            empty where the reason says all.
        value: A share of requests, MiB, a number of pairs, turns/s, or minutes of audio that would
            tell.
        evidence: The line of a log that shows a failure.
    """

    reason: VerdictReason
    workload: str = ""
    name: str = ""
    value: float | None = None
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """A verdict is the answer, and what it stands on.

    Args:
        status: Whether the winner is confirmed, rejected, or neither.
        causes: What is against it, or what is open.
        claims: What is known of each claim; empty before the first look.
        limits: How the winner stands to each limit.
        worse: What gets worse.
        pairs: How many pairs it stands on; 0 before the first look.
        look: The number of the look, from 1; 0 before the first.
        pairs_more: How many more pairs until the next look; None where none would change it.
    """

    status: VerdictStatus
    causes: tuple[Cause, ...]
    claims: tuple[ClaimFinding, ...] = ()
    limits: tuple[LimitFinding, ...] = ()
    worse: tuple[WorseFigure, ...] = ()
    pairs: int = 0
    look: int = 0
    pairs_more: int | None = None

    @property
    def won(self) -> tuple[ClaimFinding, ...]:
        """Return the claims that are shown; they are confirmed only with the status."""
        return tuple(c for c in self.claims if c.is_won)
