"""This module finds whether a claim is won: on the main workload and on the held-out ones; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from objectives.figures import CAPACITY, Direction, flat_name
from study.rule.intervals import Interval, interval
from study.rule.pairs import LOST, Arms, Key, known
from study.rule.rule import Claim, Rule


@dataclass(frozen=True, slots=True)
class ClaimFinding:
    """A finding says what is known of one claim.

    Args:
        claim: Capacity or latency.
        main: Its gain on the study's own workload; None where fewer than two pairs have one.
        held_out: The gain in the mean of the held-out workloads; None where there are none.
        worse_under: The held-out workloads on which it is shown to be worse.
        missing: How many pairs lack it for another reason than `no_good_rate`, by workload.
        is_won: Whether it is shown to be better.
        no_good_rate: In how many pairs no rate is good, by workload and role; empty for latency.
    """

    claim: Claim
    main: Interval | None
    held_out: Interval | None
    worse_under: tuple[str, ...]
    missing: Mapping[str, int]
    is_won: bool
    no_good_rate: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def is_lost(self) -> bool:
        """Return whether it is shown to be worse, on the main workload or on a held-out one."""
        return bool(self.worse_under) or (self.main is not None and self.main.high < 0)

    @property
    def at_least_pct(self) -> float | None:
        """Return the gain of the lower end on the main workload, percent of the baseline.

        Negative is worse; None where there is no interval.

        >>> gain = Interval(6, 0.2, math.log(1.1), 0.3)
        >>> round(ClaimFinding(Claim.CAPACITY, gain, None, (), {}, True).at_least_pct, 6)
        10.0
        """
        if self.main is None:
            return None
        low = self.main.low
        return 100 * (math.expm1(low) if self.claim is Claim.CAPACITY else -math.expm1(-low))


def claim_finding(
    claim: Claim, figures: Mapping[Key, Arms], rule: Rule, level: float
) -> ClaimFinding:
    """Return what the pairs say of a claim, with intervals of this confidence."""
    gains = {w: claim_gains(claim, figures, w, rule.weights) for w in rule.workloads}
    none_good = dict[tuple[str, str], int]()
    missing = {w: sum(g is None or g == LOST for g in own) for w, own in gains.items()}
    is_complete = bool(gains[rule.main]) and not any(missing.values())
    for w in rule.workloads if claim is Claim.CAPACITY else ():
        if (arms := figures.get((w, CAPACITY))) is not None:
            by_role = {(w, "baseline"): arms.baseline.count(0), (w, "winner"): arms.winner.count(0)}
            none_good |= {key: count for key, count in by_role.items() if count}
            missing[w] -= sum(0 in pair for pair in zip(arms.baseline, arms.winner, strict=True))
    main = interval(known(gains[rule.main]), level)
    held_out: Interval | None = None
    if rule.held_out and is_complete:
        by_pair = zip(*(known(gains[w]) for w in rule.held_out), strict=True)
        held_out = interval([math.fsum(pair) / len(pair) for pair in by_pair], level)
    worse_under = tuple(
        w for w in rule.held_out if (own := interval(known(gains[w]), level)) and own.high < 0
    )
    is_better = [i is not None and i.low > 0 for i in (main, *([held_out] * bool(rule.held_out)))]
    is_won = is_complete and all(is_better) and not worse_under
    return ClaimFinding(claim, main, held_out, worse_under, missing, is_won, none_good)


def claim_gains(
    claim: Claim, figures: Mapping[Key, Arms], workload: str, weights: Mapping[str, float]
) -> tuple[float | None, ...]:
    """Return the one number of each pair, a log-ratio, positive where the winner is better.

    None where a figure of the baseline is missing, LOST where only the winner's is.

    >>> arms = {("main", "stt_latency_p95_ms"): Arms((200.0,), (100.0,)),
    ...         ("main", "llm_latency_p95_ms"): Arms((900.0,), (900.0,))}
    >>> gains = claim_gains(Claim.LATENCY, arms, "main", {"stt": 0.25, "llm": 0.25})
    >>> round(math.exp(gains[0]), 3)
    1.414
    """
    if claim is Claim.CAPACITY:
        arms = figures.get((workload, CAPACITY))
        return arms.gains(Direction.UP) if arms else (None,) * _pairs(figures)
    total = math.fsum(weights.values())  # without any weight, all services count alike
    shares = {s: w / total if total else 1 / len(weights) for s, w in weights.items()}
    columns = []
    for service in (s for s, share in shares.items() if share):
        arms = figures.get((workload, flat_name(service, "latency_p95_ms")))
        columns.append(arms.gains(Direction.DOWN) if arms else (None,) * _pairs(figures))
    used = [share for share in shares.values() if share]
    return tuple(
        None
        if None in pair
        else math.fsum(share * g for share, g in zip(used, pair, strict=True) if g is not None)
        for pair in zip(*columns, strict=True)
    )


def _pairs(figures: Mapping[Key, Arms]) -> int:
    return max((len(arms.baseline) for arms in figures.values()), default=0)
