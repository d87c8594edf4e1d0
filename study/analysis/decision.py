"""This module decides what a study promotes: its best eligible configuration, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from objectives.allocation import Allocation
from study.analysis.configurations import Configuration, configuration_of, configurations_in
from study.analysis.promotion_eligibility import Ineligibility, ineligibility
from study.storage.context import StudyContext
from study.storage.trial import Trial
from study.tournament import Standing, compare


class Conclusion(StrEnum):
    """A conclusion says what came of a study."""

    WINNER = "winner"
    NOTHING_WORKS = "nothing_works"
    BASELINE_NOT_MEASURED = "baseline_not_measured"
    NOTHING_ELIGIBLE = "nothing_eligible"
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
        baseline: What is in use today; None where it gave no measurement, or nothing is in use.
        passed_over: Better scores that are not eligible, best first.
        ineligible: Why what was launched may not be promoted, by the text of its allocation.
        standings: What is known of every feasible configuration, best smoothed mean first.
        luckiest: The best single trial, where it is not of the first standing's configuration.
        ahead_alone: A contender with a better mean of its own launches than the winner, which its
            neighbours take back.
        reference: What the others are held against: the baseline; where that does not start, or
            nothing is in use, what was tried first, or else the first that works.
    """

    outcome: Conclusion
    winner: Configuration | None
    baseline: Configuration | None = None
    passed_over: Sequence[PassedOver] = ()
    ineligible: Mapping[str, Ineligibility] = field(default_factory=dict)
    standings: Sequence[Standing] = ()
    luckiest: Trial | None = None
    ahead_alone: Configuration | None = None
    reference: Configuration | None = None

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

    @property
    def is_relative(self) -> bool:
        """Return whether there is another configuration that the winner can be compared with."""
        return self.winner is not None and not _is_same(self.winner, self.reference)

    def is_baseline(self, configuration: Configuration) -> bool:
        """Return whether this configuration is what is in use today."""
        return _is_same(configuration, self.baseline)


def _is_same(configuration: Configuration, other: Configuration | None) -> bool:
    return other is not None and str(configuration.allocation) == str(other.allocation)


def decision_of(trials: Sequence[Trial], context: StudyContext) -> Decision:
    """Choose the best eligible configuration by smoothed mean, if it beats the baseline.

    A lead by efficiency and stability alone does not count. What works beats a baseline that does
    not; where that gave no measurement, or nothing is in use, nothing has to be beaten.
    """
    launched = configurations_in(trials)
    reasons = {str(c.allocation): reason for c in launched if (reason := ineligibility(c, context))}
    standings, ranked, eligible = ranking(launched, reasons)
    contending = [s for s, may in zip(standings, eligible, strict=True) if may]
    decision: Callable[..., Decision] = partial(
        Decision,
        ineligible=reasons,
        standings=standings,
        luckiest=_luckiest(launched, standings),
    )
    today = configuration_of(context.baseline, launched)
    is_known = today is not None and (bool(today.measured) or today.fails)
    baseline = today if today is not None and today.measured else None
    reference = baseline or _first_that_works(launched, trials)
    if not context.has_today:
        baseline = None
    decision = partial(decision, baseline=baseline, reference=reference)
    if not standings:
        return decision(Conclusion.NOTHING_WORKS, None)
    if context.has_today and not is_known:  # another process disturbed its launches
        return decision(Conclusion.BASELINE_NOT_MEASURED, None)
    passed_over, is_behind = list[PassedOver](), False
    for standing, leader in zip(standings, ranked, strict=True):
        if baseline is not None and _is_same(leader, baseline):
            is_behind = True  # what is in use stays: nothing that scored better may be promoted
            break
        obstacle = ineligibility(leader, context, baseline)
        if obstacle is None:
            alone = max(contending, key=lambda s: s.raw_mean)
            is_ahead = alone.raw_mean > standing.raw_mean
            ahead = ranked[standings.index(alone)] if is_ahead else None
            return decision(Conclusion.WINNER, leader, passed_over=passed_over, ahead_alone=ahead)
        passed_over.append(PassedOver(leader, standing, obstacle))
        reasons[str(leader.allocation)] = obstacle
    if not is_behind:
        return decision(Conclusion.NOTHING_ELIGIBLE, None, passed_over=passed_over)
    outcome = Conclusion.NOTHING_ELIGIBLE_BETTER if passed_over else Conclusion.NOTHING_BETTER
    if [str(c.allocation) for c in launched] == [str(context.baseline)]:
        outcome = Conclusion.NOTHING_ELSE_MEASURED
    return decision(outcome, None, passed_over=passed_over)


def _first_that_works(
    launched: Sequence[Configuration], trials: Sequence[Trial]
) -> Configuration | None:
    """Return what the fitness is relative to where the baseline has no figures."""
    first = next((str(t.allocation) for t in trials if t.is_reference), None)
    works = [c for c in launched if c.is_feasible]
    return next((c for c in works if str(c.allocation) == first), works[0] if works else None)


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
    position = {frozenset(values.items()): n for n, (values, _) in enumerate(scores)}
    order = [position[frozenset(s.params.items())] for s in standings]
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
