"""Which configuration to deploy, and which to measure once more, when measurements are noisy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution
from optuna.study import Study, StudyDirection

from .configurations import Space, coordinates
from .ledger import Cell, Ledger
from .surrogate import fit

LEADERS = 64  # what is compared: the best by mean
DRAWS = 4096
FEW = 5  # with fewer configurations, each measured once, nothing tells how noisy they are


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one configuration, in the unit and direction of the study.

    mean, standard_error: smoothed by what its neighbours have shown; None while nothing tells the noise
    raw_mean: of its own n measurements
    probability_best: that it is the best of all that were measured and never broke a constraint, or of those among
        them that `compare` was told of
    """

    params: Mapping[str, Any]
    mean: float
    standard_error: float | None
    n: int
    raw_mean: float
    probability_best: float


Measured = Sequence[
    tuple[Mapping[str, Any], Sequence[float]]
]  # configurations with their values, to be minimised


def posterior(
    measured: Measured, space: Space
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Smoothed means (m,), their covariance (m, m), and the noise variance of one measurement."""
    is_category = np.array([isinstance(d, CategoricalDistribution) for d in space.values()])
    x = coordinates(space, [params for params, _ in measured])
    groups = [np.array(values) for _, values in measured]
    y, counts = (
        np.array([group.mean() for group in groups]),
        np.array([float(len(group)) for group in groups]),
    )
    within = float(sum(np.sum((group - group.mean()) ** 2) for group in groups))
    scale = float(np.std(y)) or 1.0
    found = fit(x, is_category, y / scale, counts, within / scale**2)
    mean, covariance = found.joint(x)
    return mean * scale, covariance * scale**2, found.noise * scale**2


def _measured(cells: Sequence[Cell]) -> Measured:
    return [(cell.first.params, cell.values) for cell in cells]


def to_replicate(cells: Sequence[Cell], space: Space) -> Cell | None:
    """The configuration whose next measurement tells most about which is best; None where none may be measured.

    Optimal computing budget allocation (Chen et al. 2000, theorem 1): measurements in proportion to the noise over
    the squared distance from the best; the best itself gets the root of the sum of squares.
    """
    leaders = [cell for cell in cells if cell.is_candidate][:LEADERS]
    if all(cell.is_spent for cell in leaders):
        return None
    if len(leaders) == 1:
        return leaders[0]
    mean, _, noise = posterior(_measured(leaders), space)
    counts = np.array([len(cell.values) + cell.running for cell in leaders], dtype=float)
    best = int(np.argmin(mean))
    floor = 0.3 * np.sqrt(noise) + 1e-12  # or equal means would take every measurement
    share = np.maximum(mean - mean[best], floor) ** -2.0
    share[best] = 0.0
    share[best] = np.sqrt(np.sum(share**2))
    owed = share / share.sum() * (counts.sum() + 1) - counts
    owed[[cell.is_spent for cell in leaders]] = -np.inf
    return leaders[int(np.argmax(owed))]


def compare(
    measured: Measured, space: Space, *, maximise: bool = False, among: Sequence[bool] | None = None
) -> list[Standing]:
    """How configurations stand by their values, the one to deploy first.

    among: which of them may be deployed, where not all may: the rest smooths them and cannot be best

    >>> from optuna.distributions import IntDistribution
    >>> x = {"x": IntDistribution(1, 3)}
    >>> [standing.params for standing in compare([({"x": 1}, [5.0, 5.2]), ({"x": 3}, [2.0])], x)]
    [{'x': 3}, {'x': 1}]
    """
    sign = -1.0 if maximise else 1.0
    signed = [(params, [sign * value for value in values]) for params, values in measured]
    if not signed:
        return []
    if len(signed) == 1:  # nothing to smooth with
        values = signed[0][1]
        mean, covariance = (
            np.array([np.mean(values)]),
            np.full((1, 1), _variance(values) / len(values)),
        )
    else:
        mean, covariance, _ = posterior(signed, space)
    is_told = len(signed) >= FEW or any(len(values) > 1 for _, values in signed)
    drawn = np.random.default_rng(0).multivariate_normal(mean, covariance, DRAWS, method="eigh")
    if among is not None and any(among):
        drawn[:, ~np.array(among)] = np.inf
    wins = np.bincount(drawn.argmin(1), minlength=len(signed)) / DRAWS
    found = [
        Standing(
            params=dict(params),
            mean=sign * float(mean[i]),
            standard_error=float(np.sqrt(max(0.0, covariance[i, i]))) if is_told else None,
            n=len(values),
            raw_mean=sign * float(np.mean(values)),
            probability_best=float(wins[i]),
        )
        for i, (params, values) in enumerate(signed)
    ]
    return sorted(found, key=lambda standing: sign * standing.mean)


def standings(study: Study) -> list[Standing]:
    """Every configuration with a finite value that never broke a constraint, the one to deploy first.

    With more than 64 of them, the 64 best by mean.
    """
    ledger = Ledger(study.direction)
    ledger.catch_up(study.get_trials(deepcopy=False))
    cells = [cell for cell in ledger.best_first() if cell.is_candidate][:LEADERS]
    maximise = study.direction == StudyDirection.MAXIMIZE
    own = [(cell.first.params, [-v if maximise else v for v in cell.values]) for cell in cells]
    return compare(own, ledger.space(), maximise=maximise)


def _variance(values: Sequence[float]) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0


def recommend(study: Study) -> Standing:
    """The configuration to deploy: the best smoothed mean among those that never broke a constraint.

    raises: ValueError where there is none
    """
    found = standings(study)
    if not found:
        raise ValueError("no trial is complete and feasible, so nothing can be recommended")
    return found[0]
