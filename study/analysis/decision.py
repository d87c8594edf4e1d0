"""Decide what a study promotes: its best eligible configuration, or nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from objectives.allocation import Allocation
from study.analysis.configurations import Configuration, configuration_of, configurations_in
from study.analysis.promotion_eligibility import Ineligibility, ineligibility
from study.storage.context import StudyContext
from study.storage.trials import Trial
from study.tournament import Standing, compare


class Conclusion(StrEnum):
    """A conclusion says what came of a study."""

    WINNER = "winner"
    NOTHING_WORKS = "nothing_works"
    BASELINE_NOT_MEASURED = "baseline_not_measured"
    NOTHING_ELSE_MEASURED = "nothing_else_measured"
    NOTHING_BETTER = "nothing_better"
    NOTHING_ELIGIBLE_BETTER = "nothing_eligible_better"


@dataclass(frozen=True, slots=True)
class PassedOver:
    """This configuration scored better than the answer and may not be promoted.

    Args:
        configuration: Which one it is.
        standing: What is known of it.
        ineligibility: Why it may not be promoted.
    """

    configuration: Configuration
    standing: Standing
    ineligibility: Ineligibility


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision names a winner to promote, or says why the baseline stays.

    Args:
        outcome: What came of it.
        winner: The configuration to promote; None where the baseline stays.
        baseline: What is in use today; None where it gave no measurement.
        passed_over: Better scores that are not eligible, best first.
        ineligible: Why what was launched may not be promoted, by the text of its allocation.
        standings: What is known of every feasible configuration, best smoothed mean first.
        luckiest: The best single trial, where it is not of the first standing's configuration.
        ahead_alone: A contender with a better mean of its own launches than the winner, which its
            neighbours take back.
        reference: What the terms are relative to where the baseline gave no usable measurement.
    """

    outcome: Conclusion
    winner: Configuration | None
    baseline: Configuration | None
    passed_over: Sequence[PassedOver] = ()
    ineligible: Mapping[str, Ineligibility] = field(default_factory=dict)
    standings: Sequence[Standing] = ()
    luckiest: Trial | None = None
    ahead_alone: Configuration | None = None
    reference: Allocation | None = None

    def standing(self, configuration: Configuration | None) -> Standing | None:
        """Return what is known of a configuration; None where it is not feasible."""
        if configuration is None:
            return None
        values = configuration.allocation.own_values
        return next((s for s in self.standings if s.params == values), None)

    def against(self, allocation: Allocation) -> Ineligibility | None:
        """Return why this allocation may not be promoted; None where nothing is against it."""
        return self.ineligible.get(str(allocation))

    def is_winner(self, configuration: Configuration) -> bool:
        """Return whether the decision is for this configuration."""
        return _is_same(configuration, self.winner)

    def is_baseline(self, configuration: Configuration) -> bool:
        """Return whether this configuration is what is in use today."""
        return _is_same(configuration, self.baseline)


def _is_same(configuration: Configuration, other: Configuration | None) -> bool:
    return other is not None and str(configuration.allocation) == str(other.allocation)


def decision_of(trials: Sequence[Trial], context: StudyContext) -> Decision:
    """Choose the best eligible configuration by smoothed mean, if it beats the baseline.

    A lead by efficiency and stability alone does not count.
    """
    launched = configurations_in(trials)
    reasons = {str(c.allocation): reason for c in launched if (reason := ineligibility(c, context))}
    standings, ranked, eligible = ranking(launched, reasons)
    contending = [s for s, may in zip(standings, eligible, strict=True) if may]
    decision = partial(
        Decision,
        ineligible=reasons,
        standings=standings,
        luckiest=_luckiest(launched, standings),
    )
    values = context.baseline.own_values
    today = next((n for n, s in enumerate(standings) if s.params == values), None)
    if today is None:
        baseline = configuration_of(context.baseline, launched)
        baseline = baseline if baseline and baseline.measured else None
        reference = next((t.allocation for t in trials if t.is_reference), None)
        outcome = Conclusion.BASELINE_NOT_MEASURED if standings else Conclusion.NOTHING_WORKS
        return decision(outcome, None, baseline, reference=reference)
    baseline, passed_over = ranked[today], list[PassedOver]()
    for standing, leader in zip(standings[:today], ranked, strict=False):
        obstacle = ineligibility(leader, context, baseline)
        if obstacle is None:
            alone = max(contending, key=lambda s: s.raw_mean)
            is_ahead = alone.raw_mean > standing.raw_mean
            ahead = ranked[standings.index(alone)] if is_ahead else None
            return decision(Conclusion.WINNER, leader, baseline, passed_over, ahead_alone=ahead)
        passed_over.append(PassedOver(leader, standing, obstacle))
        reasons[str(leader.allocation)] = obstacle
    outcome = Conclusion.NOTHING_ELIGIBLE_BETTER if passed_over else Conclusion.NOTHING_BETTER
    if [str(c.allocation) for c in launched] == [str(context.baseline)]:
        outcome = Conclusion.NOTHING_ELSE_MEASURED
    return decision(outcome, None, baseline, passed_over)


def _luckiest(launched: Sequence[Configuration], standings: Sequence[Standing]) -> Trial | None:
    """Return the best single trial, where its configuration is not the best by its mean."""
    works = [t for c in launched for t in c.measured if t.is_feasible]
    best = max(works, key=lambda t: t.fitness or 0.0, default=None)
    is_other = best and standings and best.allocation.own_values != standings[0].params
    return best if is_other else None


def ranking(
    launched: Sequence[Configuration], ineligible: Collection[str]
) -> tuple[list[Standing], list[Configuration], list[bool]]:
    """Rank the feasible configurations, the best first; `ineligible` names allocations.

    The three lists, in the same order, are the standings, the configurations, and whether each is
    eligible.
    """
    feasible = [c for c in launched if c.is_feasible]
    scores = [(c.allocation.own_values, c.values("fitness")) for c in feasible]
    eligible = [str(c.allocation) not in ineligible for c in feasible]
    space = _space([values for values, _ in scores])
    standings = compare(scores, space, maximise=True, among=eligible)
    order = [
        next(n for n, (values, _) in enumerate(scores) if values == s.params) for s in standings
    ]
    return standings, [feasible[n] for n in order], [eligible[n] for n in order]


def _space(values: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """Return the space that these allocations span.

    A number ranges from the least to the greatest; anything else has the values that occur.
    """
    space: dict[str, BaseDistribution] = {}
    for name in values[0] if values else ():
        choices = [v[name] for v in values]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in choices):
            space[name] = FloatDistribution(float(min(choices)), float(max(choices)))
        else:
            space[name] = CategoricalDistribution(list(dict.fromkeys(choices)))
    return space
