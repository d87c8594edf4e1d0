"""This module seats a trial in its generation, and selects the parents of a generation."""

from __future__ import annotations

import math

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from .ledger import ATTRIBUTE, Cell, Ledger, Rank


def take_seat(
    study: Study, trial: FrozenTrial, ledger: Ledger, population_size: int
) -> dict[str, int]:
    """Return the generation, by the trials started before, and its lowest slot that is free."""
    generation, slot = divmod(ledger.started_before(trial.number), population_size)
    trials = study.get_trials(deepcopy=False)[generation * population_size : trial.number]
    seats = [
        other.system_attrs.get(ATTRIBUTE, {}) for other in trials if other.state != TrialState.FAIL
    ]
    taken = {seat["slot"] for seat in seats if seat.get("generation") == generation}
    free = [place for place in range(population_size) if place not in taken]
    return {"generation": generation, "slot": min(free, default=slot)}


def parents(
    ledger: Ledger,
    generation: int,
    *,
    population_size: int,
    elitism: int,
    tournament_size: int,
    survivors: int,
) -> list[FrozenTrial]:
    """Return who lives of the generation before and of the elite, best first.

    Infeasible ones are among them only if all are; the first generation has no parents.
    """
    if not generation:
        return []
    elite = ledger.best_first(elitism)
    ids = {id(cell) for cell in elite}
    before = [c for c in ledger.generation(generation - 1, population_size) if id(c) not in ids]
    # there is no barrier: while all of them are running, the best of older ones stand in
    if not before:
        before = ledger.best_first(elitism + tournament_size)[elitism:]
    pool = elite + sorted(before, key=lambda cell: cell.first.number)
    alive: list[Cell] = []
    for start in range(0, len(pool), tournament_size):
        group = sorted(pool[start : start + tournament_size], key=_rank)
        alive += group[: math.ceil(survivors * len(group) / tournament_size)]
    alive.sort(key=_rank)
    feasible = [cell.first for cell in alive if cell.violation == 0]
    return feasible or [cell.first for cell in alive]


def _rank(cell: Cell) -> Rank:
    return cell.rank
