"""`Ledger` keeps a study's trials by configuration: measurements, ranks, and what is taken.

A trial that has ended never changes, so it is read once; what a ledger says depends on the trials
alone, not on the order in which it came to see them.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from .axes import Signature, signature
from .configurations import Archive, Config
from .member import ATTRIBUTE, Member, Rank
from .monotone import Frontier, Monotone
from .running import RunningTrials

KNOWN = (TrialState.COMPLETE, TrialState.PRUNED)
HUGE = 1e100  # what is beyond it counts as infinite: its square would be no number
DOMINATED = "dominated"  # the user attribute `pruned` of a trial that works and could not win
T = TypeVar("T")


class Ledger:
    """A ledger has every configuration of one study; `catch_up` must be called before each use.

    Args:
        direction: Whether the study minimises or maximises.
        monotone: For each constraint, for each parameter, 1, -1 or 0; see `TournamentSampler`.
    """

    def __init__(self, direction: StudyDirection, monotone: Monotone | None = None) -> None:
        self._sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        self._frontiers = {name: Frontier(of) for name, of in (monotone or {}).items()}
        self._members: dict[Signature, Member] = {}
        self._by_number: dict[int, Member] = {}
        self._ranked: list[Rank] = []
        self._read = 0  # trials
        self._open: list[int] = []  # not ended when last looked at
        self._idle: list[int] = []  # failed or waiting: no part of a generation
        self._born: dict[int, list[int]] = defaultdict(list)  # known trials by generation
        self._unseated: list[int] = []  # known trials without a generation: imported, say
        self._archive = Archive()
        self._failed: set[Signature] = set()
        self._kept: dict[Hashable, Any] = {}
        self._axes: dict[str, tuple[int, BaseDistribution]] = {}
        self._measured_again: list[Member] = []  # members that somebody measures now
        self.running = RunningTrials()
        self.trials: Sequence[FrozenTrial] = ()
        self.is_noisy = False
        self.is_replicated = False  # whether anything was measured twice: else nobody knows
        self.asking = -1  # for whom the trials were read
        self.is_settled = False  # whether all others that run have asked for what they measure

    def catch_up(self, trials: Sequence[FrozenTrial], asking: int = -1) -> None:
        """Read what is new in the trials, which stand in order of their numbers.

        `asking` is the trial to propose for, which does not count as running.
        """
        still_open = []
        for number in [*self._open, *range(self._read, len(trials))]:
            trial = trials[number]
            if trial.state.is_finished():
                self._end(trial)
            else:
                still_open.append(number)
        running = [number for number in still_open if trials[number].state == TrialState.RUNNING]
        others = [trials[number] for number in running if number != asking]
        for trial in self.running.look(others):
            self._widen(trial)
        for member in self._measured_again:
            member.running = 0
        # only now are all members known, also those of later trials that ended before
        keys = self.running.keys
        self._measured_again = [self._members[key] for key in keys.keys() & self._members.keys()]
        for member in self._measured_again:
            member.running = keys[signature(member.first.params)]
        self.trials, self._read, self._open = trials, len(trials), still_open
        waiting = set(still_open).difference(running)
        self._absent = sorted([*self._idle, *waiting])
        self.is_settled = not waiting and self.running.are_final
        self.asking = asking

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returns, which is kept until another trial has ended.

        So it may depend on trials that have ended, and on nothing else but the key.
        """
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept

    def _end(self, trial: FrozenTrial) -> None:
        self._kept.clear()
        key = signature(trial.params)
        self._widen(trial)
        if trial.state in KNOWN:
            self._add(trial, key)
        else:
            insort(self._idle, trial.number)
            # one that says why was never measured: interrupted, not started
            if "why" not in trial.user_attrs:
                self._archive.add(key if key in self._failed else ())
                self._failed.add(key)

    def _widen(self, trial: FrozenTrial) -> None:
        for name, distribution in trial.distributions.items():
            number, known = self._axes.get(name, (0, distribution))
            if trial.number >= number:  # a database makes another object of it for each trial
                self._axes[name] = trial.number, known if known == distribution else distribution

    def _add(self, trial: FrozenTrial, key: Signature) -> None:
        seat = trial.system_attrs.get(ATTRIBUTE, {}).get("generation")
        insort(self._unseated if seat is None else self._born[seat], trial.number)
        member = self._members.get(key)
        if member is None:
            member = self._members[key] = Member(trial)
            self._archive.add(key)
        else:
            del self._ranked[bisect_left(self._ranked, member.rank)]
            if trial.number < member.first.number:
                member.first = trial
        self._by_number[trial.number] = member
        constraints = {name: _bounded(value) for name, value in trial.constraints.items()}
        excess = math.fsum(max(0.0, value) for value in constraints.values())
        for name, value in constraints.items():
            member.constraints[name] = max(value, member.constraints.get(name, -math.inf))
        if trial.state == TrialState.PRUNED:
            works = constraints or trial.user_attrs.get("pruned") == DOMINATED
            if works and not excess and trial.value is not None:
                # feasible and poor: it ranks behind all that was measured whole
                member.bound = min(member.bound, _bounded(self._sign * trial.value))
            else:
                excess = excess or math.inf  # one that does not say by how much is the worst
        elif trial.user_attrs.get("repeat_of") is None and trial.value is not None:
            insort(member.values, _bounded(self._sign * trial.value))
            self.is_replicated = self.is_replicated or len(member.values) > 1
            self.is_noisy = self.is_noisy or member.values[0] != member.values[-1]
        member.violation = max(member.violation, excess)
        member.is_spent = member.is_spent or bool(trial.user_attrs.get("spent"))
        insort(self._ranked, member.rank)
        for name, frontier in self._frontiers.items() if trial.params else ():
            if constraints.get(name, 0.0) > 0:
                frontier.broke(trial)
            elif name in constraints or not excess:
                frontier.met(trial)

    def space(self) -> dict[str, BaseDistribution]:
        """Return the parameters that trials have asked for, each in its newest range."""
        return {name: distribution for name, (_, distribution) in sorted(self._axes.items())}

    def __contains__(self, config: Config) -> bool:
        """Tell whether nobody should propose it: tried, running or failed twice."""
        return self.holds(signature(config))

    def holds(self, key: Signature) -> bool:
        """Tell it of the configuration with this signature."""
        return key in self.running.keys or self._archive.holds(key)

    def rules_out(self, config: Config) -> bool:
        """Tell whether it demands at least as much as a trial that broke a constraint.

        It must do so in every parameter on which the constraint depends; and no trial that met the
        constraint may have demanded as much as that one.
        """
        return any(frontier.rules_out(config) for frontier in self._frontiers.values())

    def bars(self, config: Config) -> bool:
        """Tell whether it is ruled out by a law: no direction that was declared may be wrong."""
        frontiers = self._frontiers.values()
        return any(frontier.is_law and frontier.rules_out(config) for frontier in frontiers)

    def best_first(self, most: int | None = None) -> list[Member]:
        """Return the known configurations, best first."""
        return [self._by_number[number] for _, _, number in self._ranked[:most]]

    def newest_first(self) -> Iterable[Member]:
        """Yield the known configurations by their first trial, newest first."""
        numbers = sorted(self._by_number, reverse=True)
        return (
            member
            for number in numbers
            if (member := self._by_number[number]).first.number == number
        )

    def started_before(self, number: int) -> int:
        """Count the trials with a lower number that are known or running."""
        return number - bisect_left(self._absent, number)

    def generation(self, index: int, size: int) -> list[Member]:
        """Return the known configurations of a generation.

        A trial without a generation belongs to it by how many started before.
        """
        low, high = index * size, (index + 1) * size + len(self._absent)
        near = self._unseated[bisect_left(self._unseated, low) : bisect_left(self._unseated, high)]
        numbers = [
            *self._born.get(index, ()),
            *(n for n in near if self.started_before(n) // size == index),
        ]
        members = [self._by_number[number] for number in sorted(numbers)]
        return list({id(member): member for member in members}.values())


def _bounded(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) > HUGE else value
