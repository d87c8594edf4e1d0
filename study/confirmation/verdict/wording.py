"""This module puts a verdict into words: what may be claimed, its outcome, and why.

A claim is only as strong as its interval: "at least 12 %" is the lower end of it.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from objectives.figures import Direction, figure
from objectives.plain_data.card_sets import is_set
from study.confirmation.verdict.cause_words import CLAIM_TITLES, cause_in_words, title
from study.rule.claims import ClaimFinding
from study.rule.intervals import Interval
from study.rule.limits import LimitStanding
from study.rule.rule import ERROR, LOOKS, Claim, Rule, confidence
from study.rule.verdict import RuleVerdict, VerdictStatus
from study.rule.watched import WorseFigure

FIXED_BEFORE = "fixed before the first pair"
MOST_PCT = 1000
DIRECTIONS = {Claim.CAPACITY: Direction.UP, Claim.LATENCY: Direction.DOWN}
COMPARATIVES = {Claim.CAPACITY: "more", Claim.LATENCY: "shorter"}


def gain_pct(direction: Direction, log_ratio: float) -> float:
    """Return how much better a log-ratio is, in percent of the baseline; negative is worse.

    >>> round(gain_pct(Direction.DOWN, math.log(100 / 90)), 6)
    10.0
    >>> round(gain_pct(Direction.UP, math.log(1.1)), 6)
    10.0
    """
    is_down = direction is Direction.DOWN
    ratio = math.exp(-log_ratio if is_down else log_ratio)
    return 100 * (1 - ratio if is_down else ratio - 1)


def rule_in_words(rule: Rule) -> str:
    """Say what was fixed before the first pair."""
    if rule.is_alone:
        return (
            f"each launch must work on {', '.join(rule.workloads)}, twice as many as pairs; "
            "nothing that works is in use, so nothing is compared"
        )
    claim = " or ".join(CLAIM_TITLES[part] for part in rule.claims)
    limits = ", ".join(f"{name} {ms:g}" for name, ms in rule.limits.items())
    return (
        f"{claim} must be better on {', '.join(rule.workloads)}; limits: {limits}; "
        "whatever else gets worse is told"
    )


def claims_in_words(verdict: RuleVerdict, rule: Rule, pairs: int) -> str:
    """Say in one sentence what may be claimed after so many pairs.

    A confirmed verdict names one claim that is shown, capacity before latency; any other one names
    each with its interval.
    """
    if rule.is_alone:
        return _works(verdict, 2 * pairs)
    if not verdict.claims:
        least = LOOKS[0]
        return f"{pairs} of {least} pairs, before which nothing is claimed"
    level = confidence(verdict.look, among=len(rule.claims))
    if verdict.status is not VerdictStatus.CONFIRMED:
        parts = [_standing(c, level) for c in verdict.claims]
        return f"{'; '.join(parts)} (positive is better)"
    return _won(min(verdict.won, key=lambda c: c.claim is not Claim.CAPACITY), level)


def _works(verdict: RuleVerdict, launches: int) -> str:
    """Say how often a winner that stands alone worked, and how rarely it may still fail.

    Source: Clopper and Pearson, Biometrika 26 (1934): the upper bound where none of n failed.
    """
    if not launches or verdict.status is not VerdictStatus.CONFIRMED:
        return f"it worked in {launches} fresh launches so far"
    pct = 100 * (1 - ERROR ** (1 / launches))
    missed = dict.fromkeys(
        f"{f.figure} {f.limit_ms:g}" for f in verdict.limits if f.standing is LimitStanding.NO_WORSE
    )
    outside = f"; it is not shown to keep these limits: {', '.join(missed)}" if missed else ""
    return (
        f"it worked in {launches} of {launches} fresh launches, so at most {pct:.0f} % of its "
        f"launches fail (95 % confidence); it was compared with nothing{outside}"
    )


def _won(c: ClaimFinding, level: float) -> str:
    least = math.floor(c.at_least_pct or 0.0)
    more = COMPARATIVES[c.claim]
    how = f"at least {least} % {more}" if least >= 1 else more
    return f"{CLAIM_TITLES[c.claim]}: {how} ({_spread(c, level)})"


def _standing(c: ClaimFinding, level: float) -> str:
    if c.main is None:
        known = "no good rate" if c.no_good_rate else "not measured"
        return f"{CLAIM_TITLES[c.claim]}: {known}"
    return f"{CLAIM_TITLES[c.claim]}: {_spread(c, level)}"


def _spread(c: ClaimFinding, level: float) -> str:
    if c.main is None:
        return "not measured"
    point, spread = interval_in_words(c.main, DIRECTIONS[c.claim])
    return f"{point}, {100 * level:g} % interval {spread}, {c.main.n} pairs"


def interval_in_words(gain: Interval, direction: Direction) -> tuple[str, str]:
    """Return a gain with its sign, and its interval.

    >>> interval_in_words(Interval(6, 0.1, 0.05, 0.15), Direction.UP)
    ('+10.5 %', '+5.1 % to +16.2 %')
    """
    low, point, high = (gain_pct(direction, x) for x in (gain.low, gain.mean, gain.high))
    return signed(point), f"{signed(low)} to {signed(high)}"


def worse_in_words(worse: WorseFigure) -> str:
    """Say what gets worse, and by how much."""
    point, spread = interval_in_words(worse.gain, figure(worse.figure).direction)
    return f"{title(worse.figure)} ({worse.figure}) on {worse.workload}: {point}, {spread}"


def reasons(verdict: RuleVerdict, rule: Rule) -> list[str]:
    """Say what is against the winner, or what is open, a sentence each."""
    return [cause_in_words(cause, verdict, rule) for cause in verdict.causes]


def status_in_words(
    status: str,
    pairs: int,
    pairs_more: int | None,
    *,
    is_replay: bool = False,
    cards: Collection[str] = (),
) -> str:
    """Say what came of so many pairs in a few words.

    Args:
        status: The verdict.
        pairs: How many it stands on.
        pairs_more: How many more may change it; None where none would, or none can be had.
        is_replay: Whether they are of a recording, which has as many as it has.
        cards: The card, or set of cards, of each; one is not told.

    >>> status_in_words("inconclusive", 7, 5)
    'inconclusive after 7 pairs, 5 more may tell'
    >>> status_in_words("inconclusive", 6, None)
    'inconclusive after 6 pairs'
    >>> status_in_words("inconclusive", 2, None, is_replay=True)
    'inconclusive after 2 pairs, all that the recording has'
    >>> status_in_words("rejected", 1, None)
    'rejected after 1 pair'
    >>> status_in_words("confirmed", 6, None, cards={"GPU-a", "GPU-b"})
    'confirmed by 6 pairs of fresh launches on 2 cards'
    >>> status_in_words("rejected", 6, None, cards={"GPU-a GPU-b", "GPU-c GPU-d"})
    'rejected after 6 pairs on 2 sets of cards'
    """
    counted = f"{pairs} pair{'' if pairs == 1 else 's'}"
    what = "sets of cards" if any(map(is_set, cards)) else "cards"
    on = f" on {len(cards)} {what}" if len(cards) > 1 else ""
    match status:
        case VerdictStatus.CONFIRMED:
            return f"confirmed by {counted} of fresh launches{on}"
        case VerdictStatus.REJECTED:
            return f"rejected after {counted}{on}"
    if pairs_more is not None:
        rest = f", {pairs_more} more may tell"
    elif is_replay:
        rest = ", all that the recording has"
    else:  # before the last look it is not the pairs that are too few
        rest = ", the last look" if pairs >= LOOKS[-1] else ""
    return f"inconclusive after {counted}{on}{rest}"


def signed(pct: float) -> str:
    """Return a gain in percent with its sign; one beyond a thousand is noise and gets a bound only.

    >>> signed(12.34), signed(-0.02), signed(-4321.0)
    ('+12.3 %', '+0.0 %', 'below -1,000 %')
    """
    if abs(pct) > MOST_PCT:
        return f"{'below -' if pct < 0 else 'above +'}{MOST_PCT:,} %"
    return f"{round(pct, 1) + 0.0:+,.1f} %"
