"""`Evidence` is what a verdict stands on: gains, words, failures, obstacles and doubts; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from objectives.speech.wer import Gate
from study.confirmation.verdict.metric_comparison import Gains


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The evidence is what has been measured.

    Args:
        gains: For each metric the log-ratio of each pair in order, positive where the winner is
            better; None where the baseline has no figure, LOST where only the winner has none.
        words: The winner's word errors against the baseline's.
        failed_more: By workload, the winner's share of failed requests less the baseline's; None
            where it was not counted.
        obstacles: What rules the winner out, a sentence each.
        doubts: What keeps it from being confirmed, a sentence each.
    """

    gains: Gains
    words: Gate
    failed_more: Mapping[str, float | None] = field(default_factory=dict)
    obstacles: Sequence[str] = ()
    doubts: Sequence[str] = ()

    @property
    def pairs(self) -> int:
        """Count the pairs measured so far."""
        return max((len(values) for values in self.gains.values()), default=0)

    def first(self, pairs: int) -> Gains:
        """Return the gains of the first pairs."""
        return {key: values[:pairs] for key, values in self.gains.items()}
