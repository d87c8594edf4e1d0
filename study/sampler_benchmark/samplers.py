"""This module makes the samplers of a comparison: those of the main job, and their rivals.

tpe4        TPE as Optuna 4 had it: one parameter at a time, no liar for running trials. Optuna 5
            also changed the widths of its densities, which no option brings back.
cmaes       Optuna's CmaEsSampler. It has no categories: those it draws at random, and with fewer
            than two numeric axes nothing of it would be left, so there it does not take part.
nevergrad   DiscreteOnePlusOne of nevergrad: ordered values as transitions, categories as choices.
exhaustive  every configuration once in random order, then the least measured of those that fit,
            again and again. On a small table it is the honest rival.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler

from objectives.errors import BadInput
from study.sampler_benchmark.rivals import DiscreteOnePlusOne, Exhaustive
from study.search.samplers import SEARCHERS, sampler
from study.tournament.configurations import size

RIVALS = (*SEARCHERS, "tpe4", "cmaes", "nevergrad", "exhaustive")
SAMPLER_PACKAGES = {
    "gp": ("torch", "gp"),
    "cmaes": ("cmaes", "bench"),
    "nevergrad": ("nevergrad", "bench"),
}
# on larger spaces grid and bruteforce are what exhaustive is: random order without repeats
MOST_LISTED = 1000
AS_PRUNED, AS_WORST, AS_VALUE = "pruned", "worst", "value"
TELLING: Mapping[str, str] = {  # all others: AS_PRUNED
    "gp": AS_WORST,
    "nsga2": AS_WORST,
    "cmaes": AS_VALUE,
}
SENTENCES: Mapping[str, str] = {
    AS_PRUNED: "PRUNED with the missing share of memory as a constraint",
    AS_WORST: "COMPLETE with the worst value seen so far and the same constraint, "
    "since it does not see pruned trials",
    AS_VALUE: "COMPLETE with the worst value seen so far, "
    "since it sees neither pruned trials nor constraints",
}


def telling(name: str) -> str:
    """Return how a sampler is told of a configuration that does not fit."""
    return TELLING.get(name, AS_PRUNED)


def missing_for_sampler(name: str) -> str | None:
    """Say which package a sampler lacks here; None where it lacks none."""
    package, extra = SAMPLER_PACKAGES.get(name, (None, None))
    if package is None or importlib.util.find_spec(package):
        return None
    return f"sampler {name!r} needs {package}; python -m pip install -e '.[{extra}]'"


def hindrance(name: str, space: Mapping[str, BaseDistribution]) -> str | None:
    """Say why a sampler takes no part on this space; None where it does."""
    cells = size(space)
    numeric = sum(not isinstance(axis, CategoricalDistribution) for axis in space.values())
    match name:
        case "grid" | "bruteforce" | "exhaustive" if math.isinf(cells):
            return "a continuous axis cannot be listed"
        case "grid" | "bruteforce" if cells > MOST_LISTED:
            return f"on {cells:,.0f} configurations it would be what exhaustive is"
        case "cmaes" if numeric < 2:
            return "it has no categories, and fewer than two numeric axes are left"
    return None


def contestant(
    name: str, *, seed: int, space: Mapping[str, BaseDistribution], budget: int, batch: int
) -> BaseSampler:
    """Return the sampler of this name for one study.

    Args:
        name: One of `RIVALS`.
        seed: The seed of its proposals.
        space: The search space.
        budget: How many trials the study will have.
        batch: How many trials are asked for at a time.

    Raises:
        BadInput: No sampler has this name.
    """
    match name:
        case "tpe4":
            return optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=False)
        case "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case "nevergrad":
            return DiscreteOnePlusOne(seed, space, budget=budget, workers=batch)
        case "exhaustive":
            return Exhaustive(seed, space)
        case _ if name not in SEARCHERS:
            raise BadInput(
                f"unknown sampler {name!r}; choose {', '.join(RIVALS[:-1])} or {RIVALS[-1]}"
            )
    return sampler(name, seed=seed, space=space)
