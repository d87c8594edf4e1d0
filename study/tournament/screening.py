"""This module picks the offspring to measure by expected improvement and likely feasibility."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution

from .configurations import Axes, Config, coordinates
from .ledger import Ledger
from .member import Member
from .model.fitting import fit
from .model.lookahead import trials_left
from .model.opening import lost_variance
from .model.shape import Array
from .model.surrogate import Surrogate

BOUND = 48  # configurations that a surrogate is fitted to: the best half, then the newest
DRAWS = 1024  # of what all configurations may be worth
ENOUGH = 2  # measured configurations before the model says anything
DOUBT = 0.05  # how likely what a declared direction rules out meets the constraint all the same


def screen(
    ledger: Ledger, space: Axes, offspring: Sequence[Config], *, is_whole: bool = False
) -> Config:
    """Return the most promising of the offspring.

    That is the one with the greatest expected improvement, times the probability that it meets
    every constraint; while no values are known, the one that tells most of the others, times that.
    Where the offspring are the whole of what is left (`is_whole`), it is the one after which the
    best of all is expected to be measured soonest.
    """
    if len(offspring) == 1:
        return offspring[0]
    is_category = np.array([isinstance(d, CategoricalDistribution) for d in space.values()])
    x, pending = coordinates(space, offspring), ledger.running.coordinates(space)
    of = tuple(sorted((name, repr(axis)) for name, axis in space.items()))
    members = ledger.once("members", lambda: _bounded(ledger))
    measured = [member for member in members if member.shown]
    feasible = [member for member in measured if member.violation == 0 and member.values]
    likely = np.array([DOUBT if ledger.rules_out(config) else 1.0 for config in offspring])
    broken = {
        name for member in members for name, value in _constraints(member).items() if value > 0
    }
    constraints = [
        ledger.once(
            ("constraint", name, of), partial(_constraint, name, members, space, is_category)
        )
        for name in sorted(broken)
    ]
    if len(measured) < ENOUGH:
        known = coordinates(space, [member.first.params for member in measured])
        worth = lost_variance(np.vstack([known, pending]), x, is_category)
    elif not feasible:
        worth = np.ones(len(offspring))
    else:

        def objective() -> tuple[Surrogate, float]:
            fitted = _objective(measured, space, is_category)
            at = coordinates(space, [member.first.params for member in feasible])
            return fitted, float(fitted.predict(at)[0].min())

        fitted, best = ledger.once(("value", of), objective)
        if is_whole:
            known = coordinates(space, [member.first.params for member in feasible])
            rows = np.vstack([x, known, pending])
            left = _trials_left(fitted, constraints, rows, likely)
            if left is not None:
                return offspring[int(np.argmin(left))]
        worth = fitted.improvement(x, best, pending)
    for constraint in constraints:
        likely = likely * constraint.below(x, 0.0)
    return offspring[int(np.argmax(worth * likely))]


def _trials_left(
    objective: Surrogate, constraints: Sequence[Surrogate], rows: Array, likely: Array
) -> Array | None:
    """Return after how many more trials the best is expected to be measured, (m,).

    Args:
        objective: The process for the values.
        constraints: One for each constraint that was broken.
        rows: The configurations that are left, m of them, and those that are measured.
        likely: How likely each of those m is not ruled out, all together or none.
    """
    rng = np.random.default_rng(0)  # the same for all, so that a difference is none of the draws
    values, seen = objective.draws(rows, DRAWS, rng)
    fails = np.zeros(values.shape, dtype=bool)
    fails[:, : len(likely)] = rng.random((DRAWS, 1)) > likely
    for constraint in constraints:
        fails[:, : len(likely)] |= constraint.draws(rows[: len(likely)], DRAWS, rng)[0] > 0
    values[fails], seen[fails] = np.inf, np.inf
    return trials_left(values, seen, np.arange(len(rows)) < len(likely))


def _bounded(ledger: Ledger) -> list[Member]:
    """Return the best and the newest, so that a fit takes no longer in a long study."""
    best = ledger.best_first(BOUND // 2)
    ids = {id(member) for member in best}
    newest = (member for member in ledger.newest_first() if id(member) not in ids)
    return [*best, *itertools.islice(newest, BOUND // 2)]


def _objective(members: Sequence[Member], space: Axes, is_category: NDArray[np.bool_]) -> Surrogate:
    """Fit the process for the values.

    What is far worse than the middle is drawn in: only the good end must be right.
    """
    finite = np.sort([v for member in members for v in member.shown if np.isfinite(v)] or [0.0])
    best, middle = float(finite[0]), float(np.median(finite))
    unit = (middle - best) or 1.0

    shown = [value for member in members for value in member.shown]
    z = (np.clip(shown, best, 10 * finite[-1] - 9 * best) - best) / unit
    z = np.where(z > 1, 1 + np.log(np.maximum(z, 1)), z)
    sizes, counts = (
        [len(member.shown) for member in members],
        np.array([member.weight for member in members]),
    )
    y = np.add.reduceat(z, np.cumsum([0, *sizes[:-1]])) / sizes
    within = float(np.sum((z - np.repeat(y, sizes)) ** 2))
    return fit(
        coordinates(space, [member.first.params for member in members]),
        is_category,
        y,
        counts,
        within,
    )


def _constraints(member: Member) -> dict[str, float]:
    """Return its constraints; one that was pruned without any has broken a nameless one."""
    return member.constraints if member.constraints or not member.violation else {"": 1.0}


def _constraint(
    name: str, members: Sequence[Member], space: Axes, is_category: NDArray[np.bool_]
) -> Surrogate:
    """Fit the process for the graded value of a constraint, which is met at 0 and below."""
    # who broke no constraint and does not name this one has met it, nobody knows by how much
    informative = [
        member for member in members if name in _constraints(member) or not member.violation
    ]
    graded = np.array([_constraints(member).get(name, 0.0) for member in informative])
    excesses = graded[(graded > 0) & np.isfinite(graded)]
    exceeded = float(np.median(excesses)) if len(excesses) else 1.0
    graded = np.nan_to_num(graded, posinf=4 * exceeded, neginf=-4 * exceeded)
    # 0 is met, but not by how much
    graded = np.where(graded == 0, -exceeded, np.minimum(graded, 4 * exceeded))
    return fit(
        coordinates(space, [member.first.params for member in informative]), is_category, graded
    )
