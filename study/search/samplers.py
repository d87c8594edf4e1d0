"""This module makes a sampler by its name: the tournament, or a strategy of Optuna."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GridSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from objectives.allocation import OF_MEMORY, is_of_speech
from objectives.engines.registry import changes_words
from objectives.errors import BadInput, SetupError
from study.spec.choices import RECORDED, SAMPLERS
from study.spec.model import Spec
from study.storage.trial import NOT_SHOWN
from study.text import listed
from study.tournament import TournamentSampler
from study.tournament.configurations import untried

SEARCHERS = tuple(name for name in SAMPLERS if name != RECORDED)
# the settings of a selector that the tournament takes as they are
TOURNAMENT = (
    "tournament_size",
    "survivors",
    "elitism",
    "fresh_inject",
    "population_size",
    "n_offspring",
)


def sampler(  # noqa: PLR0911  one return for each name
    name: str,
    *,
    seed: int,
    space: Mapping[str, BaseDistribution],
    options: Mapping[str, Any] = {},
) -> BaseSampler:
    """Return the sampler of this name for this search space.

    Args:
        options: Parameters of `TournamentSampler`, under their own names; the others have none.

    >>> str(sampler("tpe", seed=0, space={}))
    'TPESampler'
    """
    match name:
        case "tournament":
            return _tournament(seed, options)
        case "tpe":
            # A generation is asked before any of it is told. The liar takes running trials for bad
            # ones and so spreads the batch; without it, the whole batch would come from the same
            # two densities.
            return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
        case "grid":
            return UntilExhausted(GridSampler(_grid(name, space), seed=seed))
        case "gp":
            if importlib.util.find_spec("torch") is None:
                raise SetupError("sampler 'gp' needs PyTorch; python -m pip install torch")
            # the first trial is sampled independently: no space is known yet
            return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        case "nsga2":
            # a population of 50, the default, is random search for 50 trials
            return optuna.samplers.NSGAIISampler(seed=seed, population_size=10)
        case "bruteforce":
            _grid(name, space)
            with warnings.catch_warnings():
                # experimental since 3.1; what we use of it is tested here
                warnings.simplefilter("ignore", ExperimentalWarning)
                return UntilExhausted(optuna.samplers.BruteForceSampler(seed=seed))
        case "recorded":
            # it is never asked: the study ends with its queue
            return optuna.samplers.RandomSampler(seed=seed)
    raise BadInput(f"unknown sampler {name!r}; choose {listed(SEARCHERS, 'or')}")


def _tournament(seed: int, options: Mapping[str, Any]) -> TournamentSampler:
    for key, value in options.items():
        if key not in ("exhausted", "monotone") and type(value) is not int:
            raise BadInput(f"{key} is {value!r}; give a whole number")
    try:
        return TournamentSampler(seed=seed, **options)
    except ValueError as error:
        raise BadInput(str(error)) from error


def _grid(name: str, space: Mapping[str, BaseDistribution]) -> dict[str, list[Any]]:
    """Return every value of every parameter."""
    grid = {}
    for parameter, distribution in space.items():
        values = untried({parameter: distribution}, [])
        if values is None:
            raise BadInput(
                f"sampler {name!r} cannot end: {parameter} has no step; give it one, or a list"
            )
        grid[parameter] = [value[parameter] for value in values]
    return grid


class UntilExhausted(BaseSampler):
    """This sampler stops the study at the end of its space, and is fit for ask and tell.

    `Study.stop` raises where no `optimize` is running, so the last `tell` of a complete grid would
    fail. Here it ends in peace, and whoever asks again is given a known configuration.

    Args:
        inner: The sampler that searches the space.
    """

    def __init__(self, inner: BaseSampler) -> None:
        self._inner = inner

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        # an enqueued trial is in no cell of the grid, and GridSampler would look for its cell
        if isinstance(self._inner, GridSampler) and "grid_id" not in trial.system_attrs:
            return
        try:
            self._inner.after_trial(study, trial, state, values)
        except RuntimeError as error:
            if "Study.stop" not in str(error):
                raise

    def reseed_rng(self) -> None:
        self._inner.reseed_rng()


def sampler_of(name: str, seed: int, spec: Spec, trials: int = 0) -> BaseSampler:
    """Return the sampler of this name with a spec's settings of the tournament.

    Args:
        name: Its name.
        seed: The study's.
        spec: It says what is searched, and how.
        trials: The number of trials that the study holds; a resumed sampler must not draw once
            more what it drew at the start.

    Raises:
        BadInput: It does not suit the space, or its settings are no whole numbers.
        SetupError: A package that it needs is not installed here.
    """
    options: dict[str, Any] = {k: getattr(spec.selector, k) for k in TOURNAMENT}
    options |= {"exhausted": "replicate" if spec.selector.exhausted == "replicate" else "repeat"}
    options |= {"monotone": {**monotone_directions(spec), **same_words(spec)}}
    if name != "tournament":  # it draws by the trial's number
        seed = (seed + 1_000_003 * trials) % 2**32
    return sampler(name, seed=seed, space=spec.search_space.distributions(), options=options)


def same_words(spec: Spec) -> dict[str, dict[str, int]]:
    """Return what the tournament may conclude from one launch whose words speak against it.

    The words of a speech configuration are the same whatever the other parameters are.
    """
    others = (p for p in spec.search_space.parameters if not changes_words(spec.services, p.name))
    return {NOT_SHOWN: {p.key: 0 for p in others}}


def monotone_directions(spec: Spec) -> dict[str, dict[str, int]]:
    """Return what the tournament may conclude from one failure.

    Keys are constraints, then Optuna's parameter names. More of a declared parameter takes more
    memory. The KV cache gains by the LLM's share, loses by what else grows inside it, and does not
    know of the speech server's.
    """
    parameters = spec.search_space.parameters
    declared = {p.name: p.key for p in parameters if p.name in spec.monotone}
    if not declared:
        return {}
    speech = [p for p in parameters if is_of_speech(p.name)]
    inside = {key: -1 if name in OF_MEMORY else 1 for name, key in declared.items()}
    return {
        "memory": dict.fromkeys(declared.values(), 1),
        "kv_cache": {**inside, **{p.key: 0 for p in speech}},
    }
