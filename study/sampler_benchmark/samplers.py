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
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from objectives.errors import BadInput
from study.sampler_benchmark.problems import stream
from study.search.samplers import SEARCHERS, sampler
from study.tournament.axes import levels, place, value_at
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


class _WholeSpace(BaseSampler):
    """A sampler that knows its space from the start."""

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self._space = dict(space)

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        return self._space

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        raise BadInput(
            f"{param_name} ({param_distribution}) is not in the space "
            f"that {type(self).__name__} was given"
        )


class Exhaustive(_WholeSpace):
    """A sampler that proposes every configuration once, then the least measured of those that fit.

    The order is drawn from the seed.
    """

    def __init__(self, seed: int, space: Mapping[str, BaseDistribution]) -> None:
        super().__init__(space)
        self._counts = [int(levels(axis)) for axis in space.values()]
        self._order = stream("exhaustive", seed).permutation(int(np.prod(self._counts)))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if trial.number < len(self._order):
            return self._config(trial.number)
        times: Counter[int] = Counter()
        for other in study.get_trials(deepcopy=False)[: trial.number]:
            at = [place(axis, other.params[name]) for name, axis in search_space.items()]
            fits = other.state != TrialState.PRUNED and all(
                v <= 0 for v in other.constraints.values()
            )
            # what does not fit never comes again
            times[int(np.ravel_multi_index(at, self._counts))] += 1 if fits else trial.number
        turns = range(len(self._order))
        return self._config(min(turns, key=lambda turn: (times[int(self._order[turn])], turn)))

    def _config(self, turn: int) -> dict[str, Any]:
        at = np.unravel_index(self._order[turn], self._counts)
        return {
            name: value_at(axis, int(i))
            for (name, axis), i in zip(self._space.items(), at, strict=True)
        }


class DiscreteOnePlusOne(_WholeSpace):
    """A sampler that puts nevergrad's optimizer behind Optuna's ask and tell.

    It minimises, and learns what does not fit as a violation.
    """

    def __init__(
        self, seed: int, space: Mapping[str, BaseDistribution], *, budget: int, workers: int
    ) -> None:
        import nevergrad  # noqa: PLC0415  an extra, and 2 s of imports

        super().__init__(space)
        axes = {name: _nevergrad_axis(nevergrad.p, axis) for name, axis in space.items()}
        parametrization = nevergrad.p.Dict(**axes)
        parametrization.random_state = np.random.RandomState(seed)
        kind = nevergrad.optimizers.registry["DiscreteOnePlusOne"]
        self._optimizer = kind(parametrization=parametrization, budget=budget, num_workers=workers)
        self._candidates: dict[int, Any] = {}
        self._worst = 0.0

    def sample_relative(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        candidate = self._candidates[trial.number] = self._optimizer.ask()
        return {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in candidate.value.items()
        }

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        candidate = self._candidates.pop(trial.number)
        if state == TrialState.COMPLETE and values is not None:
            loss = (
                -values[0] if study.direction == optuna.study.StudyDirection.MAXIMIZE else values[0]
            )
            self._worst = max(self._worst, loss)
            self._optimizer.tell(candidate, loss)
        elif state == TrialState.PRUNED:
            violation = sum(max(0.0, v) for v in trial.constraints.values())
            self._optimizer.tell(candidate, self._worst, constraint_violation=[violation])


def _nevergrad_axis(kinds: Any, axis: BaseDistribution) -> Any:
    """Return nevergrad's axis: a choice, an ordered transition, or a bounded scalar."""
    match axis:
        case CategoricalDistribution(choices=choices):
            return kinds.Choice(list(choices))
        case FloatDistribution(low=low, high=high, step=None):
            return kinds.Scalar(lower=low, upper=high)
        case IntDistribution() | FloatDistribution():
            return kinds.TransitionChoice([value_at(axis, i) for i in range(int(levels(axis)))])
    raise BadInput(f"nevergrad has no axis like {axis}")
