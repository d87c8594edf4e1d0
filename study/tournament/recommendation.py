"""This module names the configuration to deploy and the one to measure once more, under noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.study import Study, StudyDirection

from .configurations import Axes
from .ledger import Ledger
from .member import Member
from .model.posterior import Measured, posterior

LEADERS = 64  # what is compared: the best by mean
POSTERIOR_DRAWS = 4096
LEAST_FOR_NOISE = (
    5  # with fewer configurations, each measured once, nothing tells how noisy they are
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A standing is what is known of one configuration, in the study's unit and direction.

    Args:
        params: Its parameters.
        mean: Its mean, smoothed by what its neighbours have shown.
        standard_error: The standard error of `mean`; None while nothing tells the noise.
        n: How often it was measured.
        raw_mean: The mean of its own n measurements.
        probability_best: The probability that it is the best of all that were measured and never
            broke a constraint, or of those that the argument `among` of `compare` admits; 0 of one
            of many that is far from that.
    """

    params: Mapping[str, Any]
    mean: float
    standard_error: float | None
    n: int
    raw_mean: float
    probability_best: float


def _measured(members: Sequence[Member]) -> Measured:
    return [(member.first.params, member.values) for member in members]


def to_replicate(members: Sequence[Member], space: Axes) -> Member | None:
    """Return the configuration whose next measurement tells most about which is best.

    None where none may be measured. The rule is optimal computing budget allocation (Chen et al.
    2000, theorem 1): measurements in proportion to the noise over the squared distance from the
    best; the best itself gets the root of the sum of squares.
    """
    leaders = [member for member in members if member.is_candidate][:LEADERS]
    if all(member.is_spent for member in leaders):
        return None
    if len(leaders) == 1:
        return leaders[0]
    known = posterior(_measured(leaders), space)
    mean, noise = known.mean, known.noise
    counts = np.array([len(member.values) + member.running for member in leaders], dtype=float)
    best = int(np.argmin(mean))
    floor = 0.3 * np.sqrt(noise) + 1e-12  # or equal means would take every measurement
    share = np.maximum(mean - mean[best], floor) ** -2.0
    share[best] = 0.0
    share[best] = np.sqrt(np.sum(share**2))
    owed = share / share.sum() * (counts.sum() + 1) - counts
    owed[[member.is_spent for member in leaders]] = -np.inf
    return leaders[int(np.argmax(owed))]


def compare(
    measured: Measured, space: Axes, *, maximise: bool = False, among: Sequence[bool] | None = None
) -> list[Standing]:
    """Return how configurations stand by their values, the one to deploy first.

    Args:
        measured: Configurations with the values of their measurements.
        space: The search space in which they lie.
        maximise: Whether larger values are better.
        among: Which of them may be deployed, where not all may; the others smooth them and cannot
            be the best.

    >>> from optuna.distributions import IntDistribution
    >>> x = {"x": IntDistribution(1, 3)}
    >>> [standing.params for standing in compare([({"x": 1}, [5.0, 5.2]), ({"x": 3}, [2.0])], x)]
    [{'x': 3}, {'x': 1}]
    """
    sign = -1.0 if maximise else 1.0
    signed = [(params, [sign * value for value in values]) for params, values in measured]
    if not signed:
        return []
    may = np.ones(len(signed), dtype=bool) if among is None or not any(among) else np.array(among)
    if len(signed) == 1:  # nothing to smooth with
        values = signed[0][1]
        mean, variance = np.array([np.mean(values)]), np.array([_variance(values) / len(values)])
        joint, covariance = np.array([0]), np.diag(variance)
    else:
        known = posterior(signed, space, may)
        mean, variance, joint, covariance = (
            known.mean,
            known.variance,
            known.joint,
            known.covariance,
        )
    is_noise_known = len(signed) >= LEAST_FOR_NOISE or any(len(values) > 1 for _, values in signed)
    draws = np.random.default_rng(0).multivariate_normal(
        mean[joint], covariance, POSTERIOR_DRAWS, method="eigh"
    )
    draws[:, ~may[joint]] = np.inf
    wins = np.bincount(joint[draws.argmin(1)], minlength=len(signed)) / POSTERIOR_DRAWS
    unordered = [
        Standing(
            params=dict(params),
            mean=sign * float(mean[i]),
            standard_error=float(np.sqrt(max(0.0, variance[i]))) if is_noise_known else None,
            n=len(values),
            raw_mean=sign * float(np.mean(values)),
            probability_best=float(wins[i]),
        )
        for i, (params, values) in enumerate(signed)
    ]
    return sorted(unordered, key=lambda standing: sign * standing.mean)


def standings(study: Study) -> list[Standing]:
    """Return the configurations that may be deployed, the one to deploy first.

    Each has a finite value and never broke a constraint; of more than 64, the 64 best by mean.
    """
    ledger = Ledger(study.direction)
    ledger.catch_up(study.get_trials(deepcopy=False))
    members = [member for member in ledger.best_first() if member.is_candidate][:LEADERS]
    maximise = study.direction == StudyDirection.MAXIMIZE
    own = [
        (member.first.params, [-v if maximise else v for v in member.values]) for member in members
    ]
    return compare(own, ledger.space(), maximise=maximise)


def _variance(values: Sequence[float]) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0


def recommend(study: Study) -> Standing:
    """Return the configuration to deploy: the best smoothed mean that never broke a constraint.

    Raises:
        ValueError: No trial is complete and feasible.
    """
    ranking = standings(study)
    if not ranking:
        raise ValueError("no trial is complete and feasible, so nothing can be recommended")
    return ranking[0]
