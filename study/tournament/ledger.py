"""The trials of a study as the tournament sees them: configurations, their measurements, who is better, what is taken.

A trial that has ended never changes, so it is read once; what a ledger says depends on the trials alone, not on the
order in which it came to see them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .configurations import Archive, Config, Identity, identity

KEY = "tournament"  # our attribute of a trial and of the study
KNOWN = (TrialState.COMPLETE, TrialState.PRUNED)
HUGE = 1e100  # what is beyond it is infinite: nothing is told by how far, and its square would be no number
Monotone = Mapping[str, Mapping[str, int]]
Rank = tuple[float, float, int]


@dataclass(slots=True)
class Cell:
    """One configuration and what its known trials have shown.

    first: the trial with the lowest number; values: fresh measurements, least first, negated where the study maximises
    violation: the largest excess of a trial; constraints: the worst of each; is_spent: it cannot be measured again
    """

    first: FrozenTrial
    violation: float = 0.0
    values: list[float] = field(default_factory=list)
    constraints: dict[str, float] = field(default_factory=dict)
    running: int = 0
    is_spent: bool = False

    @property
    def mean(self) -> float:
        """The mean of its values; infinite where it has none, or one of them is."""
        return (
            math.inf
            if math.inf in self.values or not self.values
            else math.fsum(self.values) / len(self.values)
        )

    @property
    def rank(self) -> Rank:
        """The less, the better: feasible before infeasible, these by how far they exceed; then by mean."""
        return self.violation, self.mean, self.first.number

    @property
    def is_candidate(self) -> bool:
        """Whether it may be recommended: it never broke a constraint, and its mean is finite."""
        return self.violation == 0 and math.isfinite(self.mean)


class Ledger:
    """Every configuration of one study; `catch_up` before each use."""

    def __init__(self, direction: StudyDirection, monotone: Monotone | None = None) -> None:
        self._sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        self._monotone = monotone or {}
        self._cells: dict[Identity, Cell] = {}
        self._by_number: dict[int, Cell] = {}
        self._ranked: list[Rank] = []
        self._seen = 0
        self._open: list[int] = []  # not ended when last looked at
        self._idle: list[int] = []  # failed or waiting: no part of a generation
        self._born: dict[int, list[int]] = defaultdict(
            list
        )  # known trials by the generation that they say
        self._unseated: list[int] = []  # known trials that do not say: enqueued before, imported
        self._archive, self._running = Archive(), set[Identity]()
        self._failed: set[Identity] = set()
        self._broken: list[tuple[str, FrozenTrial]] = []
        self._axes: dict[str, tuple[int, BaseDistribution]] = {}
        self.running: list[Config] = []
        self.is_noisy = False

    def catch_up(self, trials: Sequence[FrozenTrial], asking: int = -1) -> None:
        """Read what is new in the trials, which stand in order of their numbers; `asking` is the one to propose for."""
        for cell in self._cells.values() if self.running else ():
            cell.running = 0
        self.running, self._running, still_open = [], set(), []
        for number in [*self._open, *range(self._seen, len(trials))]:
            trial = trials[number]
            if trial.state.is_finished():
                self._end(trial)
            else:
                still_open.append(number)
        for number in (
            still_open
        ):  # when all cells are known, also those of later trials that have ended before
            if number != asking and trials[number].state == TrialState.RUNNING:
                self._run(trials[number])
        self._seen, self._open = len(trials), still_open
        waiting = [number for number in still_open if trials[number].state == TrialState.WAITING]
        self._absent = sorted([*self._idle, *waiting])

    def _end(self, trial: FrozenTrial) -> None:
        one = identity(trial.params)
        self._widen(trial)
        if trial.state in KNOWN:
            self._know(trial, one)
        else:
            insort(self._idle, trial.number)
            if (
                "why" not in trial.user_attrs
            ):  # one that says why was never measured: interrupted, not started
                self._archive.add(one if one in self._failed else ())
                self._failed.add(one)

    def _widen(self, trial: FrozenTrial) -> None:
        for name, distribution in trial.distributions.items():
            if trial.number >= self._axes.get(name, (0,))[0]:
                self._axes[name] = trial.number, distribution

    def _know(self, trial: FrozenTrial, one: Identity) -> None:
        seat = trial.system_attrs.get(KEY, {}).get("generation")
        insort(self._unseated if seat is None else self._born[seat], trial.number)
        cell = self._cells.get(one)
        if cell is None:
            cell = self._cells[one] = Cell(trial)
            self._archive.add(one)
        else:
            del self._ranked[bisect_left(self._ranked, cell.rank)]
            if trial.number < cell.first.number:
                cell.first = trial
        self._by_number[trial.number] = cell
        constraints = {name: _bounded(value) for name, value in trial.constraints.items()}
        excess = math.fsum(max(0.0, value) for value in constraints.values())
        for name, value in constraints.items():
            cell.constraints[name] = max(value, cell.constraints.get(name, -math.inf))
        if trial.state == TrialState.PRUNED:
            excess = excess or math.inf  # one that does not say by how much is the worst
        elif trial.user_attrs.get("repeat_of") is None and trial.value is not None:
            insort(cell.values, _bounded(self._sign * trial.value))
            self.is_noisy = self.is_noisy or cell.values[0] != cell.values[-1]
        cell.violation = max(cell.violation, excess)
        cell.is_spent = cell.is_spent or bool(trial.user_attrs.get("spent"))
        insort(self._ranked, cell.rank)
        self._broken += [
            (name, trial)
            for name in self._monotone
            if trial.params and constraints.get(name, 0.0) > 0
        ]

    def _run(self, trial: FrozenTrial) -> None:
        self._widen(trial)
        proposal = trial.system_attrs.get(KEY, {}).get("proposal", {})
        config = {**proposal, **trial.system_attrs.get("fixed_params", {}), **trial.params}
        if config:
            self.running.append(config)
            self._running.add(one := identity(config))
            if cell := self._cells.get(one):
                cell.running += 1

    def space(self) -> dict[str, BaseDistribution]:
        """What trials have asked for, in the newest range of each name."""
        return {name: distribution for name, (_, distribution) in sorted(self._axes.items())}

    def __contains__(self, config: Config) -> bool:
        """Whether nobody should propose this: tried, running, failed twice, or ruled out by a frontier."""
        return (
            config in self._archive or identity(config) in self._running or self.rules_out(config)
        )

    def rules_out(self, config: Config) -> bool:
        """Whether it demands at least as much, in all that a constraint depends on, as one that broke it."""
        return any(_at_least(config, trial, self._monotone[name]) for name, trial in self._broken)

    def best_first(self, most: int | None = None) -> list[Cell]:
        """The known configurations, best first."""
        return [self._by_number[number] for _, _, number in self._ranked[:most]]

    def newest_first(self) -> Iterable[Cell]:
        """The known configurations by their first trial, newest first."""
        numbers = sorted(self._by_number, reverse=True)
        return (
            cell for number in numbers if (cell := self._by_number[number]).first.number == number
        )

    def started_before(self, number: int) -> int:
        """How many trials with a lower number are known or running."""
        return number - bisect_left(self._absent, number)

    def generation(self, index: int, size: int) -> list[Cell]:
        """The known configurations of a generation; a trial that does not say counts by how many started before it."""
        low, high = index * size, (index + 1) * size + len(self._absent)
        near = self._unseated[bisect_left(self._unseated, low) : bisect_left(self._unseated, high)]
        numbers = [
            *self._born.get(index, ()),
            *(n for n in near if self.started_before(n) // size == index),
        ]
        return list(
            {
                id(cell): cell for cell in (self._by_number[number] for number in sorted(numbers))
            }.values()
        )


def _bounded(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) > HUGE else value


def _at_least(config: Config, broken: FrozenTrial, directions: Mapping[str, int]) -> bool:
    """Whether every parameter demands at least as much as that of a trial that broke the constraint.

    1: more demands more; -1: less does; 0: it does not matter; without a direction, only the same value is known to.
    """
    for name, value in broken.params.items():
        direction = directions.get(name)
        if direction == 0:
            continue
        if name not in config:
            return False
        here, there = _order(broken, name, config[name]), _order(broken, name, value)
        if direction is None or here is None or there is None:
            if identity({name: config[name]}) != identity({name: value}):
                return False
        elif direction * (here - there) < -1e-12 * max(abs(here), abs(there)):
            return False
    return True


def _order(trial: FrozenTrial, name: str, value: Any) -> float | None:
    """Where a value stands: a number by itself, a category by its place in the list; None where it is not in it."""
    distribution = trial.distributions[name]
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.choices.index(value)) if value in distribution.choices else None
    return float(value)
