"""This module holds the numbers of a tournament, the seats of its trials, and who has children."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from .ledger import Ledger
from .member import ATTRIBUTE, Member, Rank
from .monotone import Monotone

Seat = dict[str, int]  # generation and slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings are what `TournamentSampler` was given, under the same names.

    Args:
        tournament_size: How many configurations compete in a group.
        survivors: How many of each group live and have children.
        elitism: How many of the best are parents in every generation.
        fresh_inject: How many trials of a generation are random candidates.
        population_size: How many trials a generation has.
        n_offspring: How many candidates are drawn for a place.
        exhausted: What happens once every configuration was tried.
        monotone: For each constraint, for each parameter, whether more of it demands more.
        seed: The seed of all proposals; None lets the study draw one.

    Raises:
        ValueError: One of them makes no sense.
    """

    tournament_size: int
    survivors: int
    elitism: int
    fresh_inject: int
    population_size: int
    n_offspring: int
    exhausted: str
    monotone: Monotone = field(default_factory=dict)
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in self.__slots__:
            number = getattr(self, name)
            if name in ("exhausted", "monotone") or (name == "seed" and number is None):
                continue
            if type(number) is not int:
                raise ValueError(f"{name} is {number!r}; give a whole number")
        if not 1 <= self.survivors <= self.tournament_size:
            raise ValueError(
                f"survivors is {self.survivors}; give 1 to tournament_size ({self.tournament_size})"
            )
        if not 0 <= self.fresh_inject < self.population_size:
            raise ValueError(
                f"fresh_inject is {self.fresh_inject}; "
                f"give 0 to population_size - 1 ({self.population_size - 1})"
            )
        if self.elitism < 0 or (self.seed or 0) < 0:
            raise ValueError(f"elitism is {self.elitism} and seed is {self.seed}; give 0 or more")
        if self.n_offspring < 1:
            raise ValueError(f"n_offspring is {self.n_offspring}; give 1 (no screening) or more")
        if self.exhausted not in ("replicate", "repeat"):
            raise ValueError(f"exhausted is {self.exhausted!r}; give 'replicate' or 'repeat'")
        _check_directions(self.monotone)


def _check_directions(monotone: Monotone) -> None:
    for name, directions in monotone.items():
        if wrong := {k: v for k, v in directions.items() if v not in (-1, 0, 1)}:
            raise ValueError(
                f"monotone[{name!r}] has {wrong}; give 1 (more demands more), -1 (less does) or 0"
            )


def take_seat(trial: FrozenTrial, ledger: Ledger, population_size: int) -> Seat:
    """Return the generation, by the trials started before, and its lowest slot that is free."""
    generation, slot = divmod(ledger.started_before(trial.number), population_size)
    trials = ledger.trials[generation * population_size : trial.number]
    seats = [
        other.system_attrs.get(ATTRIBUTE, {}) for other in trials if other.state != TrialState.FAIL
    ]
    taken = {seat["slot"] for seat in seats if seat.get("generation") == generation}
    free = [place for place in range(population_size) if place not in taken]
    return {"generation": generation, "slot": min(free, default=slot)}


def record(study: Study, trial: FrozenTrial, seat: Seat, **proposal: Any) -> dict[str, Any]:
    """Write seat and proposal of a trial into the storage, where other workers see them."""
    written = {**seat, **proposal}
    study._storage.set_trial_system_attr(trial._trial_id, ATTRIBUTE, written)
    return written


def mirror(study: Study, trial: FrozenTrial, written: Mapping[str, Any]) -> None:
    """Write the same for people; the dashboard shows user attributes only."""
    for name in ("generation", "slot", "role", "parents"):
        if written["role"] == "enqueued" and name in trial.user_attrs:
            continue  # whoever queued it has given it a role of its own
        study._storage.set_trial_user_attr(trial._trial_id, name, written[name])


def parents(ledger: Ledger, generation: int, settings: Settings) -> list[FrozenTrial]:
    """Return who lives of the generation before and of the elite, best first.

    Infeasible ones are among them only if all are; the first generation has no parents.
    """
    if not generation:
        return []
    elitism, tournament_size = settings.elitism, settings.tournament_size
    elite = ledger.best_first(elitism)
    ids = {id(member) for member in elite}
    before = [
        c for c in ledger.generation(generation - 1, settings.population_size) if id(c) not in ids
    ]
    # there is no barrier: while all of them are running, the best of older ones stand in
    if not before:
        before = ledger.best_first(elitism + tournament_size)[elitism:]
    pool = elite + sorted(before, key=lambda member: member.first.number)
    alive: list[Member] = []
    for start in range(0, len(pool), tournament_size):
        group = sorted(pool[start : start + tournament_size], key=_rank)
        alive += group[: math.ceil(settings.survivors * len(group) / tournament_size)]
    alive.sort(key=_rank)
    feasible = [member.first for member in alive if member.violation == 0]
    return feasible or [member.first for member in alive]


def _rank(member: Member) -> Rank:
    return member.rank
