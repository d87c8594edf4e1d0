"""`TournamentSampler` runs the R-Zero tournament with a memory as an Optuna sampler."""

from __future__ import annotations

import threading
import weakref
import zlib
from collections.abc import Set
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from .breeding import Breeder
from .configurations import Axes, Config, pinned
from .generations import Seat, Settings, mirror, record, take_seat
from .ledger import Ledger
from .member import ATTRIBUTE
from .monotone import Monotone


class Parameters(dict[str, Any]):
    """Optuna's `Trial` holds this of a proposal; unlike a dict, it can be referred to weakly."""


class TournamentSampler(BaseSampler):
    """This sampler breeds trials in tournaments, and tries no configuration twice by accident.

    The docstring of this package explains the method.

    Args:
        tournament_size: How many configurations compete in a group.
        survivors: How many of each group live and have children; 1 to `tournament_size`.
        elitism: How many of the best configurations of the whole study are parents in every
            generation; 0 or more.
        fresh_inject: How many trials of a generation are random candidates; fewer than
            `population_size`.
        population_size: How many trials a generation has.
        n_offspring: How many candidates are drawn for a place, of which a Gaussian process picks
            one; all that is untried in a space of up to four times as many. 1 is the pure
            tournament, without a model.
        exhausted: What happens once every configuration was tried: "replicate" measures the leaders
            again, "repeat" proposes one of them for a caller who keeps results.
        monotone: For each constraint, for each parameter: 1 where more of it demands more, -1 where
            less does, 0 where it does not matter. A trial that broke the constraint then speaks
            against every configuration that demands at least as much, until one has met it. With
            zeros alone it is a law: what it speaks against is not proposed.
        seed: The seed of all proposals, 0 or more; without one the study draws a seed and keeps it.

    Raises:
        ValueError: An argument makes no sense, or the study has more than one objective.
    """

    def __init__(
        self,
        *,
        tournament_size: int = 4,
        survivors: int = 2,
        elitism: int = 1,
        fresh_inject: int = 1,
        population_size: int = 5,
        n_offspring: int = 16,
        exhausted: Literal["replicate", "repeat"] = "replicate",
        monotone: Monotone | None = None,
        seed: int | None = None,
    ) -> None:
        self._settings = Settings(
            tournament_size=tournament_size,
            survivors=survivors,
            elitism=elitism,
            fresh_inject=fresh_inject,
            population_size=population_size,
            n_offspring=n_offspring,
            exhausted=exhausted,
            monotone={name: dict(directions) for name, directions in (monotone or {}).items()},
            seed=seed,
        )
        self._ledgers: weakref.WeakKeyDictionary[Study, Ledger] = weakref.WeakKeyDictionary()
        self._seeds: weakref.WeakKeyDictionary[Study, int] = weakref.WeakKeyDictionary()
        # by storage and trial: whoever runs a trial in this process holds its proposal
        self._proposals: weakref.WeakValueDictionary[tuple[int, int], Parameters] = (
            weakref.WeakValueDictionary()
        )
        self._lock = threading.RLock()  # of the ledgers: threads of one study share them

    def __getstate__(self) -> dict[str, Any]:
        return self.settings()

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]

    def settings(self) -> dict[str, Any]:
        """Return what it was given, by name."""
        return asdict(self._settings)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        _refuse_several_objectives(study)
        self._seed(study)
        # a trial that fixes every parameter is never sampled, so it takes its seat here
        if "fixed_params" in trial.system_attrs:
            with self._lock:
                seat = self._seat(trial, self._ledger(study, trial))
            written = record(study, trial, seat, role="enqueued", parents=[], proposal={})
            mirror(study, trial, written)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        with self._lock:
            return self._ledger(study, trial).space()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        rng = np.random.default_rng([self._seed(study), trial.number])
        proposal = Parameters(self._settle(study, trial, search_space, set(), rng, is_read=True))
        self._proposals[id(study._storage), trial._trial_id] = proposal
        return proposal

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value of a parameter that the study has not had yet, or not in this range.

        A new parameter is added to the proposal. Where a range has shrunk from under the proposed
        value, the whole configuration is proposed anew, but for what the trial has asked for
        already: the rest of the old one may be known in every value that is left.
        """
        rng = np.random.default_rng(
            [self._seed(study), trial.number, zlib.crc32(param_name.encode())]
        )
        whole = self._proposals.get((id(study._storage), trial._trial_id), Parameters())
        if param_name not in whole:
            own = study._storage.get_trial_system_attrs(trial._trial_id).get(ATTRIBUTE, {})
            kept = {**own.get("proposal", {}), **trial.params}
            space = {**pinned(kept), param_name: param_distribution}
            return self._settle(study, trial, space, set(space), rng)[param_name]
        with self._lock:
            open_axes = self._ledger(study, trial).space()
        axes = {**pinned(trial.params), param_name: param_distribution}
        space = {**{name: open_axes[name] for name in whole if name in open_axes}, **axes}
        again = self._settle(study, trial, space, set(axes), rng)
        # the trial goes on with the new one: it looks up what it asks for next in this very dict
        whole.update({name: again[name] for name in whole if name in again})
        return again[param_name]

    def _ledger(self, study: Study, trial: FrozenTrial, *, is_read: bool = False) -> Ledger:
        """Return the study's ledger, brought up to date without this trial."""
        _refuse_several_objectives(study)
        ledger = self._ledgers.get(study)
        if ledger is None:
            monotone = self._settings.monotone
            ledger = self._ledgers[study] = Ledger(study.direction, monotone)
        if not (is_read and ledger.asking == trial.number):
            ledger.catch_up(study.get_trials(deepcopy=False), trial.number)
        return ledger

    def _settle(
        self,
        study: Study,
        trial: FrozenTrial,
        space: Axes,
        needed: Set[str],
        rng: np.random.Generator,
        *,
        is_read: bool = False,
    ) -> Config:
        """Propose and record parameters until no other trial holds the same; return them.

        `needed` are the names that a configuration must have to be proposed again; `is_read` says
        that the trials were read for this one just now.
        """
        fixed = trial.system_attrs.get("fixed_params", {})
        space, needed = {**space, **pinned(fixed)}, {*needed, *fixed}
        with self._lock:
            ledger = self._ledger(study, trial, is_read=is_read)
            seat = self._seat(trial, ledger)
            while True:
                made = Breeder(self._settings, ledger, space, needed, rng).propose(seat)
                role = "enqueued" if fixed else made.role
                written = record(
                    study, trial, seat, role=role, parents=made.parents, proposal=made.config
                )
                if made.role not in ("replicate", "repeat") and not _is_alone(study, ledger):
                    ledger = self._ledger(study, trial)
                    if made.config in ledger:
                        continue
                mirror(study, trial, written)
                return made.config

    def _seat(self, trial: FrozenTrial, ledger: Ledger) -> Seat:
        return take_seat(trial, ledger, self._settings.population_size)

    def _seed(self, study: Study) -> int:
        """Return the seed, and keep it and the settings in the study, for a resumed one."""
        if study in self._seeds:
            return self._seeds[study]
        stored = study._storage.get_study_system_attrs(study._study_id).get(ATTRIBUTE, {})
        default = stored.get("seed", int(np.random.default_rng().integers(2**31)))
        seed: int = default if self._settings.seed is None else self._settings.seed
        if stored != (settings := {**self.settings(), "seed": seed}):
            study._storage.set_study_system_attr(study._study_id, ATTRIBUTE, settings)
            study.set_user_attr(ATTRIBUTE, settings)
        else:  # it was read again after it was written, which two processes may do at once
            self._seeds[study] = seed
        return seed


def _is_alone(study: Study, ledger: Ledger) -> bool:
    """Tell whether nobody can have proposed anything since the ledger read the trials.

    Then they need not be read once more, which takes long where a database holds many that run.
    """
    if not ledger.is_settled:
        return False
    try:
        study._storage.get_trial_id_from_study_id_trial_number(study._study_id, len(ledger.trials))
    except KeyError:
        return True
    return False


def _refuse_several_objectives(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"TournamentSampler has one objective, not {len(study.directions)}; use NSGAIISampler"
        )
