"""This module picks the offspring to measure by expected improvement and likely feasibility."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from .configurations import Axes, Config, coordinates
from .ledger import Cell, Ledger
from .model.fitting import fit
from .model.opening import told
from .model.surrogate import Surrogate

BOUND = 48  # configurations that a surrogate is fitted to: the best half, then the newest
ENOUGH = 2  # measured configurations before the model says anything


def screen(ledger: Ledger, space: Axes, offspring: Sequence[Config]) -> Config:
    """Return the most promising of the offspring.

    That is the one with the greatest expected improvement, times the probability that it meets
    every constraint; while no values are known, the one that tells most of the others, times that.
    """
    if len(offspring) == 1:
        return offspring[0]
    is_category = np.array([isinstance(d, CategoricalDistribution) for d in space.values()])
    x = coordinates(space, offspring)
    cells = _bounded(ledger)
    measured = [cell for cell in cells if cell.shown]
    pending = coordinates(space, ledger.running)
    feasible = [cell for cell in measured if cell.violation == 0]
    worth = np.ones(len(offspring))
    if len(measured) < ENOUGH:
        known = coordinates(space, [cell.first.params for cell in measured])
        worth = told(np.vstack([known, pending]), x, is_category)
    elif feasible:
        objective = _objective(measured, space, is_category)
        at_best = coordinates(space, [cell.first.params for cell in feasible])
        worth = objective.improvement(x, float(objective.predict(at_best)[0].min()), pending)
    broken = {name for cell in cells for name, value in _constraints(cell).items() if value > 0}
    for name in sorted(broken):
        worth = worth * _constraint(name, cells, space, is_category).below(x, 0.0)
    return offspring[int(np.argmax(worth))]


def _bounded(ledger: Ledger) -> list[Cell]:
    """Return the best and the newest, so that a fit takes no longer in a long study."""
    best = ledger.best_first(BOUND // 2)
    ids = {id(cell) for cell in best}
    newest = (cell for cell in ledger.newest_first() if id(cell) not in ids)
    return [*best, *itertools.islice(newest, BOUND // 2)]


def _objective(cells: Sequence[Cell], space: Axes, is_category: NDArray[np.bool_]) -> Surrogate:
    """Fit the process for the values.

    What is far worse than the middle is drawn in: only the good end must be right.
    """
    finite = np.sort([v for cell in cells for v in cell.shown if np.isfinite(v)] or [0.0])
    best, middle = float(finite[0]), float(np.median(finite))
    unit = (middle - best) or 1.0

    def drawn_in(values: Sequence[float]) -> NDArray[np.float64]:
        z = (np.clip(values, best, 10 * finite[-1] - 9 * best) - best) / unit
        return np.asarray(np.where(z > 1, 1 + np.log(np.maximum(z, 1)), z))

    groups = [drawn_in(cell.shown) for cell in cells]
    y, counts = np.array([g.mean() for g in groups]), np.array([float(len(g)) for g in groups])
    within = float(sum(((g - g.mean()) ** 2).sum() for g in groups))
    return fit(
        coordinates(space, [cell.first.params for cell in cells]), is_category, y, counts, within
    )


def _constraints(cell: Cell) -> dict[str, float]:
    """Return its constraints; one that was pruned without any has broken a nameless one."""
    return cell.constraints if cell.constraints or not cell.violation else {"": 1.0}


def _constraint(
    name: str, cells: Sequence[Cell], space: Axes, is_category: NDArray[np.bool_]
) -> Surrogate:
    """Fit the process for the graded value of a constraint, which is met at 0 and below."""
    # who broke no constraint and does not name this one has met it, nobody knows by how much
    informative = [cell for cell in cells if name in _constraints(cell) or not cell.violation]
    graded = np.array([_constraints(cell).get(name, 0.0) for cell in informative])
    excesses = graded[(graded > 0) & np.isfinite(graded)]
    exceeded = float(np.median(excesses)) if len(excesses) else 1.0
    graded = np.nan_to_num(graded, posinf=4 * exceeded, neginf=-4 * exceeded)
    # 0 is met, but not by how much
    graded = np.where(graded == 0, -exceeded, np.minimum(graded, 4 * exceeded))
    return fit(coordinates(space, [cell.first.params for cell in informative]), is_category, graded)
