"""This module makes the samplers of a comparison: those of the main job, and their rivals.

tpe4        TPE as Optuna 4 had it: one parameter at a time, no liar for running trials. Optuna 5
            also changed the widths of its densities, which no option brings back.
cmaes       Optuna's CmaEsSampler. It has no categories: those it draws at random, and with fewer
            than two numeric axes nothing of it would be left, so there it does not take part.
nevergrad   DiscreteOnePlusOne of nevergrad: ordered values as transitions, categories as choices.
ngopt       NGOpt of nevergrad, which chooses among its optimizers.
smac        SMAC3's facade for hyperparameters, a random forest.
autosampler OptunaHub's AutoSampler: TPE wherever a parameter is a category, the GP elsewhere.
hillclimb   steepest ascent with restarts; OptunaHub's takes whole numbers only, and no seed.
exhaustive  every configuration once in random order, then the least measured of those that fit,
            again and again. On a small table it is the honest rival.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Mapping
from pathlib import Path

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler

from objectives.errors import BadInput
from study.sampler_benchmark.rivals.exhaustive import Exhaustive
from study.sampler_benchmark.rivals.hill_climbing import HillClimbing
from study.sampler_benchmark.rivals.of_nevergrad import Nevergrad
from study.sampler_benchmark.rivals.smac3 import Smac
from study.search.samplers import SEARCHERS, sampler
from study.text import listed
from study.tournament.configurations import size
from study.tournament.monotone import Monotone

RIVALS = (
    *SEARCHERS,
    "tpe4",
    "cmaes",
    "nevergrad",
    "ngopt",
    "smac",
    "autosampler",
    "hillclimb",
    "exhaustive",
)
SAMPLER_PACKAGES: Mapping[str, tuple[tuple[str, str], ...]] = {  # packages with their extras
    "gp": (("torch", "gp"),),
    "cmaes": (("cmaes", "bench"),),
    "nevergrad": (("nevergrad", "bench"),),
    "ngopt": (("nevergrad", "bench"),),
    "smac": (("smac", "rivals"),),
    "autosampler": (("optunahub", "rivals"), ("torch", "gp"), ("cmaes", "bench")),
}
HUB = "samplers/auto_sampler"  # the package of OptunaHub
# on larger spaces grid and bruteforce are what exhaustive is: random order without repeats
MOST_LISTED = 1000
AS_PRUNED, AS_WORST, AS_VALUE = "pruned", "worst", "value"
TELLING: Mapping[str, str] = {  # all others: AS_PRUNED
    "gp": AS_WORST,
    "nsga2": AS_WORST,
    "cmaes": AS_VALUE,
    "smac": AS_VALUE,
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
    """Say what a sampler lacks here; None where it lacks nothing."""
    for package, extra in SAMPLER_PACKAGES.get(name, ()):
        if not importlib.util.find_spec(package):
            return f"sampler {name!r} needs {package}; python -m pip install -e '.[{extra}]'"
    if name == "autosampler" and not (_hub_registry() / HUB).is_dir():
        return (
            f"sampler {name!r} is not fetched from OptunaHub; "
            f"python -c \"import optunahub; optunahub.load_module('{HUB}')\" does so"
        )
    return None


def _hub_registry() -> Path:
    """Return the folder in which OptunaHub keeps what it has fetched."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("OPTUNAHUB_CACHE_HOME") or caches / "optunahub")
    return home / "github.com/optuna/optunahub-registry/main/package"


def hindrance(name: str, space: Mapping[str, BaseDistribution]) -> str | None:
    """Say why a sampler takes no part on this space; None where it does."""
    cells = size(space)
    numeric = sum(not isinstance(axis, CategoricalDistribution) for axis in space.values())
    match name:
        case "grid" | "bruteforce" | "exhaustive" | "hillclimb" if math.isinf(cells):
            return "a continuous axis cannot be listed"
        case "grid" | "bruteforce" if cells > MOST_LISTED:
            return f"on {cells:,.0f} configurations it would be what exhaustive is"
        case "cmaes" if numeric < 2:
            return "it has no categories, and fewer than two numeric axes are left"
    return None


def contestant(  # noqa: PLR0911  one return for each name
    name: str,
    *,
    seed: int,
    space: Mapping[str, BaseDistribution],
    budget: int,
    batch: int,
    monotone: Monotone | None = None,
) -> BaseSampler:
    """Return the sampler of this name for one study.

    Args:
        name: One of `RIVALS`.
        seed: The seed of its proposals.
        space: The search space.
        budget: How many trials the study will have.
        batch: How many trials are asked for at a time.
        monotone: The directions of constraints, of which the tournament alone can be told.

    Raises:
        BadInput: No sampler has this name.
    """
    match name:
        case "tpe4":
            return optuna.samplers.TPESampler(seed=seed, multivariate=False, constant_liar=False)
        case "cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case "nevergrad" | "ngopt":
            kind = "NGOpt" if name == "ngopt" else "DiscreteOnePlusOne"
            return Nevergrad(kind, seed, space, budget=budget, workers=batch)
        case "smac":
            return Smac(seed, space, budget=budget)
        case "autosampler":
            import optunahub  # noqa: PLC0415  an extra

            hub = optunahub.load_local_module(HUB, registry_root=str(_hub_registry()))
            return hub.AutoSampler(seed=seed)  # type: ignore[no-any-return]
        case "hillclimb":
            return HillClimbing(seed, space)
        case "exhaustive":
            return Exhaustive(seed, space)
        case _ if name not in SEARCHERS:
            raise BadInput(f"unknown sampler {name!r}; choose {listed(RIVALS, 'or')}")
    options = {"monotone": monotone} if name == "tournament" and monotone else {}
    return sampler(name, seed=seed, space=space, options=options)
