"""What a study says: the allocation to promote, or why the baseline stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from objectives.allocation import Allocation
from study.analysis.configurations import Configuration, merged
from study.analysis.eligibility import barred, hindrance, unfit
from study.spec.model import Spec
from study.storage.context import StudyContext
from study.storage.trials import Trial
from study.tournament import Standing, compare


@dataclass(frozen=True, slots=True)
class Decision:
    """What a study says: a winner to promote, or why the baseline stays.

    winner, baseline: of several measurements of one allocation, their mean
    passed_over: better scores that no gate let through, one sentence each
    standings: what is known of every feasible allocation, best smoothed mean first
    contenders: how many of them may be promoted; only these can be the best
    luckiest: the allocation of the best single trial, where that is another one than the first standing's
    ahead_alone: a contender with a better mean of its own launches than the winner, which its neighbours take back
    """

    winner: Trial | None
    baseline: Trial | None
    reason: str
    passed_over: Sequence[str] = ()
    standings: Sequence[Standing] = ()
    contenders: int = 0
    luckiest: Trial | None = None
    ahead_alone: Trial | None = None

    @property
    def is_noise_known(self) -> bool:
        """Whether any allocation was measured more than once: from single measurements nobody can tell their noise."""
        return any(s.n > 1 for s in self.standings)

    def standing(self, row: Trial | None) -> Standing | None:
        """What is known of the allocation of a row."""
        return next(
            (s for s in self.standings if row and s.params == dict(row.allocation.values)), None
        )

    def against(self, allocation: Allocation) -> str | None:
        """Why this allocation was passed over though it scored better; None where it was not."""
        found = (s for s in self.passed_over if s.startswith(f"{allocation} ("))
        return next((s.partition("): ")[2] for s in found), None)


def decide(rows: Sequence[Trial], spec: Spec | StudyContext) -> Decision:
    """The best allocation by smoothed mean whose gates are passed, if it beats the baseline by more than efficiency."""
    own = [r for r in rows if r.repeat_of is None]
    standings, shown, fit = compared(own, spec)
    contending = [s for s, may in zip(standings, fit, strict=True) if may]
    says = partial(
        Decision,
        standings=standings,
        contenders=len(contending),
        luckiest=_luckiest(own, standings),
    )
    today = next(
        (i for i, s in enumerate(standings) if s.params == dict(spec.baseline.values)), None
    )
    if today is None:
        baseline = next(
            (r for r in own if r.measurement and str(r.allocation) == str(spec.baseline)), None
        )
        if not standings:
            return says(None, baseline, "no allocation met every constraint: the baseline stays")
        reference = next(
            (f"; terms are relative to {r.allocation}" for r in own if r.is_reference), ""
        )
        ending = "it has no usable measurement of its own, so nothing can be said to beat it"
        return says(None, baseline, f"the baseline stays: {ending}{reference}")
    baseline, passed_over = shown[today], list[str]()
    for standing, r in zip(standings[:today], shown, strict=False):
        obstacle = hindrance(r, baseline, spec)
        if obstacle is None:
            alone = max(contending, key=lambda s: s.raw_mean)
            ahead = shown[standings.index(alone)] if alone.raw_mean > standing.raw_mean else None
            return says(r, baseline, _why(r, baseline), passed_over, ahead_alone=ahead)
        passed_over.append(f"{r.allocation} (fitness {standing.mean:.4f}): {obstacle}")
    rivals = "nothing that may be promoted beat it" if passed_over else "nothing beat it"
    if all(str(r.allocation) == str(spec.baseline) for r in own):
        rivals = "nothing else was measured"
    sentence = (
        f"the baseline stays: {rivals} ({spec.baseline}, fitness {standings[today].mean:.4f})"
    )
    return says(None, baseline, sentence, passed_over)


def _luckiest(rows: Sequence[Trial], standings: Sequence[Standing]) -> Trial | None:
    """The best single trial, where its allocation is not the one with the best mean."""
    best = max((r for r in rows if r.is_feasible), key=lambda r: r.fitness or 0.0, default=None)
    return (
        best if best and standings and dict(best.allocation.values) != standings[0].params else None
    )


def compared(
    rows: Sequence[Trial], spec: Spec | StudyContext
) -> tuple[list[Standing], list[Trial], list[bool]]:
    """The allocations that were feasible in each of their measurements: how they stand, the best first.

    And, in the same order, the mean of each as a row, and whether it may be promoted.
    """
    groups: dict[str, list[Trial]] = {}
    for r in rows:
        if r.is_known and r.repeat_of is None:
            groups.setdefault(str(r.allocation), []).append(r)
    feasible = [group for group in groups.values() if all(r.is_feasible for r in group)]
    measured = [
        (dict(group[0].allocation.values), [r.fitness or 0.0 for r in group]) for group in feasible
    ]
    space = _space([values for values, _ in measured])
    means = [merged(group) for group in feasible]
    may = [unfit(r, spec) is None for r in means]
    standings = compare(measured, space, maximise=True, among=may)
    order = [
        next(n for n, (values, _) in enumerate(measured) if values == s.params) for s in standings
    ]
    return standings, [means[n] for n in order], [may[n] for n in order]


def _space(values: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """The ranges that these allocations span: of numbers from the least to the greatest, of the rest what is there."""
    space: dict[str, BaseDistribution] = {}
    for name in values[0] if values else ():
        seen = [v[name] for v in values]
        if all(isinstance(v, int | float) and not isinstance(v, bool) for v in seen):
            space[name] = FloatDistribution(float(min(seen)), float(max(seen)))
        else:
            space[name] = CategoricalDistribution(list(dict.fromkeys(seen)))
    return space


def _why(r: Trial, baseline: Trial) -> str:
    gains = {
        k: (v or 0.0) - (baseline.contributions.get(k) or 0.0) for k, v in r.contributions.items()
    }
    parts = ", ".join(f"{k} {gain:+.4f}" for k, gain in sorted(gains.items(), key=lambda g: -g[1]))
    return f"fitness {r.fitness:.4f} against the baseline's {baseline.fitness:.4f}: {parts}"


WINNER, BASELINE, HELD_BACK, FEASIBLE = "winner", "in use today", "held back", "works"
OVER, FAILED = "over a limit", "does not work"
KINDS = (WINNER, BASELINE, HELD_BACK, FEASIBLE, OVER, FAILED)


def kind(cell: Configuration, decision: Decision, asked: StudyContext) -> str:
    """What a configuration is to the answer."""
    if is_winner(cell, decision):
        return WINNER
    if not cell.measured:
        return FAILED
    if not cell.is_feasible:
        return OVER
    if decision.baseline is not None and str(cell.allocation) == str(decision.baseline.allocation):
        return BASELINE
    return HELD_BACK if obstacle(cell, decision, asked) else FEASIBLE


def is_winner(cell: Configuration, decision: Decision) -> bool:
    """Whether the decision is for this configuration."""
    return decision.winner is not None and str(cell.allocation) == str(decision.winner.allocation)


def obstacle(cell: Configuration, decision: Decision, asked: StudyContext) -> str | None:
    """Why a configuration that works may not be chosen; None where nothing stands against it."""
    return decision.against(cell.allocation) or barred(cell, asked)
