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


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one configuration, in the unit and direction of the study.

    mean, standard_error: smoothed; raw_mean: of its n measurements; probability_best: among all that were measured
    """

    params: Mapping[str, Any]
    mean: float
    standard_error: float
    n: int
    raw_mean: float
    probability_best: float
    trials: tuple[int, ...]


def posterior(cells: Sequence[Cell], space: Space) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Smoothed means (m,), their covariance (m, m), and the noise variance of one measurement."""
    is_category = np.array([isinstance(d, CategoricalDistribution) for d in space.values()])
    x = coordinates(space, [cell.first.params for cell in cells])
    y, counts = np.array([cell.mean for cell in cells]), np.array([float(len(cell.values)) for cell in cells])
    within = float(sum(np.sum((np.array(cell.values) - cell.mean) ** 2) for cell in cells))
    scale = float(np.std(y)) or 1.0
    found = fit(x, is_category, y / scale, counts, within / scale**2)
    mean, covariance = found.joint(x)
    return mean * scale, covariance * scale**2, found.noise * scale**2


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
    mean, _, noise = posterior(leaders, space)
    counts = np.array([len(cell.values) + cell.running for cell in leaders], dtype=float)
    best = int(np.argmin(mean))
    gap = mean - mean[best]
    floor = 0.3 * np.sqrt(noise) + 1e-12  # or equal means would take every measurement
    share = np.maximum(gap, floor) ** -2.0
    share[best] = 0.0
    share[best] = np.sqrt(np.sum(share**2))
    owed = share / share.sum() * (counts.sum() + 1) - counts
    owed[[cell.is_spent for cell in leaders]] = -np.inf
    return leaders[int(np.argmax(owed))]


def standings(study: Study) -> list[Standing]:
    """Every feasible configuration with a finite value, the one to deploy first: by smoothed mean."""
    ledger = Ledger(study.direction)
    ledger.catch_up(study.get_trials(deepcopy=False))
    space = ledger.space()
    cells = [cell for cell in ledger.best_first() if cell.is_candidate][:LEADERS]
    if not cells:
        return []
    sign = -1.0 if study.direction == StudyDirection.MAXIMIZE else 1.0
    if len(cells) == 1:  # nothing to smooth with
        values = cells[0].values
        mean, covariance = np.array([cells[0].mean]), np.full((1, 1), _variance(values) / len(values))
    else:
        mean, covariance, _ = posterior(cells, space)
    drawn = np.random.default_rng(0).multivariate_normal(mean, covariance, DRAWS, method="eigh")
    wins = np.bincount(drawn.argmin(1), minlength=len(cells)) / DRAWS
    found = [
        Standing(
            params=dict(cell.first.params),
            mean=sign * float(mean[i]),
            standard_error=float(np.sqrt(max(0.0, covariance[i, i]))),
            n=len(cell.values),
            raw_mean=sign * cell.mean,
            probability_best=float(wins[i]),
            trials=(cell.first.number,),
        )
        for i, cell in enumerate(cells)
    ]
    return sorted(found, key=lambda standing: sign * standing.mean)


def _variance(values: Sequence[float]) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0


def recommend(study: Study) -> Standing:
    """The configuration to deploy: the best smoothed mean among those that never broke a constraint."""
    found = standings(study)
    if not found:
        raise ValueError("no trial is complete and feasible, so nothing can be recommended")
    return found[0]
