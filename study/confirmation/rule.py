"""The rule that is fixed before the first pair: the claim, the margins, and when one may look for a win. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from objectives.figures import DIRECTIONS
from study.confirmation.margins import Margins
from study.spec.model import Claim

LEAST_PAIRS = 6


@dataclass(frozen=True, slots=True)
class Key:
    """One metric under one workload."""

    workload: str
    metric: str

    def __str__(self) -> str:
        return f"{self.metric} under {self.workload}"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is claimed, and by how much everything else may be worse.

    main: the study's own workload, on which the claim is made; margins: a metric counts as no worse within its own
    aa_pairs: of the baseline against itself, before all others
    """

    claim: Claim
    main: str = "main"
    margins: Margins = field(default_factory=Margins)
    aa_pairs: int = 2

    @property
    def primary(self) -> Key:
        """The one metric that must be better."""
        return Key(self.main, self.claim)


def looks(targets: Sequence[int]) -> tuple[int, ...]:
    """After how many pairs a win is looked for: at six, then at each number of pairs that was asked for.

    >>> looks([6]), looks([10]), looks([6, 16])
    ((6,), (6, 10), (6, 16))
    """
    return tuple(sorted({LEAST_PAIRS, *(t for t in targets if t > LEAST_PAIRS)}))


def confidence(look: int) -> float:
    """Of the interval at a look, counted from 1: each may err half as often as the one before it.

    A win needs the whole interval on one side, so that a useless winner wins with 2.5 % at the first look, 1.25 % at
    the second ...: never more than 5 % in all, however often somebody asks for more pairs.

    >>> confidence(1), confidence(2)
    (0.95, 0.975)
    """
    return 1 - 0.05 / 2.0 ** (look - 1)


def gain_pct(metric: str, log_ratio: float) -> float:
    """How much better in percent of the baseline; negative is worse.

    >>> round(gain_pct("llm_latency_ms", math.log(100 / 90)), 6), round(gain_pct("fitness", math.log(1.1)), 6)
    (10.0, 10.0)
    """
    ratio = math.exp(-log_ratio if DIRECTIONS[metric] == "down" else log_ratio)
    return 100 * (1 - ratio if DIRECTIONS[metric] == "down" else ratio - 1)
