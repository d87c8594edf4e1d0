"""`Rule` is what is fixed before the first pair: claim, limits, and what is watched; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.figures import Direction

LOOKS = (6, 12)  # pairs after which a win is looked for, and no others
ERROR = 0.05


class Claim(StrEnum):
    """A claim says what must be better.

    CAPACITY is the highest rate of turns; LATENCY the weighed mean of the log-ratios of all
    services' p95 at today's load; EITHER is one of the two.
    """

    CAPACITY = "capacity"
    LATENCY = "latency"
    EITHER = "either"

    @property
    def parts(self) -> tuple[Claim, ...]:
        """Return what it is made of, each of which is enough."""
        return (Claim.CAPACITY, Claim.LATENCY) if self is Claim.EITHER else (self,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule is what is fixed before the first pair.

    Args:
        claim: What must be better.
        is_alone: Whether nothing that works is in use, so that nothing is compared: the winner's
            launches are its own pairs, and all that is claimed is that each of them works.
        weights: The weight of each service's p95 in the latency, as in the fitness.
        limits: The owner's limits by flat name, each a p95, ms.
        watched: Every other figure by flat name, with the direction that is better.
        main: The name of the study's own workload.
        held_out: The names of the other workloads.
        free_memory_mib: What must stay free under stress, MiB; None where there is no stress.
    """

    claim: Claim = Claim.EITHER
    is_alone: bool = False
    weights: Mapping[str, float]
    limits: Mapping[str, float] = field(default_factory=lambda: DEFAULT_LIMITS)
    watched: Mapping[str, Direction] = field(default_factory=dict)
    main: str = "main"
    held_out: tuple[str, ...] = ()
    free_memory_mib: float | None = None

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return what must be better, each of which is enough; nothing where it is alone."""
        return () if self.is_alone else self.claim.parts

    @property
    def workloads(self) -> tuple[str, ...]:
        """Return the names of all workloads, the study's own first."""
        return (self.main, *self.held_out)


def confidence(look: int, among: int = 1) -> float:
    """Return the confidence of an interval at a look, counted from 1.

    The second look has half the error of the first. Where one of several is enough, they share it.

    >>> confidence(1), confidence(1, among=2), confidence(2), confidence(2, among=2)
    (0.95, 0.975, 0.975, 0.9875)
    """
    return 1 - ERROR / max(1, among) / 2.0 ** (look - 1)
