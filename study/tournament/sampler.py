"""`TournamentSampler` runs the R-Zero tournament with a memory as an Optuna sampler."""

from __future__ import annotations

import threading
import weakref
import zlib
from collections.abc import Callable, Mapping, Set
from typing import Any, Literal

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from .axes import Signature, signature
from .configurations import Axes, Config, all_configurations, child, fits, inherit, pinned, size
from .exhaustion import LISTABLE
from .generations import parents, take_seat
from .ledger import ATTRIBUTE, Ledger
from .monotone import Monotone
from .recommendation import to_replicate
from .screening import screen

TRIES = 20  # for each offspring, before the untried configurations are listed


class Proposal(dict[str, Any]):
    """What Optuna's `Trial` holds of a proposal; unlike a dict, it can be referred to weakly."""


class TournamentSampler(BaseSampler):
    """A sampler that breeds trials in tournaments and tries no configuration twice by accident.

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
            one; 1 is the pure tournament, without a model.
        exhausted: What happens once every configuration was tried: "replicate" measures the leaders
            again, "repeat" proposes one of them for a caller who keeps results.
        monotone: For each constraint, for each parameter: 1 where more of it demands more, -1 where
            less does, 0 where it does not matter. A trial that broke the constraint then rules out
            every configuration that demands at least as much.
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
        numbers = {
            "tournament_size": tournament_size,
            "survivors": survivors,
            "elitism": elitism,
            "seed": seed or 0,
        }
        numbers |= {
            "fresh_inject": fresh_inject,
            "population_size": population_size,
            "n_offspring": n_offspring,
        }
        for name, number in numbers.items():
            if type(number) is not int:
                raise ValueError(f"{name} is {number!r}; give a whole number")
        if not 1 <= survivors <= tournament_size:
            raise ValueError(
                f"survivors is {survivors}; give 1 to tournament_size ({tournament_size})"
            )
        if not 0 <= fresh_inject < population_size:
            raise ValueError(
                f"fresh_inject is {fresh_inject}; "
                f"give 0 to population_size - 1 ({population_size - 1})"
            )
        if elitism < 0 or (seed or 0) < 0:
            raise ValueError(f"elitism is {elitism} and seed is {seed}; give 0 or more")
        if n_offspring < 1:
            raise ValueError(f"n_offspring is {n_offspring}; give 1 (no screening) or more")
        if exhausted not in ("replicate", "repeat"):
            raise ValueError(f"exhausted is {exhausted!r}; give 'replicate' or 'repeat'")
        for name, directions in (monotone or {}).items():
            if wrong := {k: v for k, v in directions.items() if v not in (-1, 0, 1)}:
                raise ValueError(
                    f"monotone[{name!r}] has {wrong}; "
                    "give 1 (more demands more), -1 (less does) or 0"
                )
        self.tournament_size = tournament_size
        self.survivors = survivors
        self.elitism = elitism
        self.fresh_inject = fresh_inject
        self.population_size = population_size
        self.n_offspring = n_offspring
        self.exhausted = exhausted
        self.monotone = {name: dict(directions) for name, directions in (monotone or {}).items()}
        self.seed = seed
        self._ledgers: weakref.WeakKeyDictionary[Study, Ledger] = weakref.WeakKeyDictionary()
        # by storage and trial: whoever runs a trial in this process holds its proposal
        self._proposals: weakref.WeakValueDictionary[tuple[int, int], Proposal] = (
            weakref.WeakValueDictionary()
        )
        self._lock = threading.RLock()  # of the ledgers: threads of one study share them

    def __getstate__(self) -> dict[str, Any]:
        return self._settings()

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]

    def _settings(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        _refuse_several_objectives(study)
        self._seed(study)
        # a trial that fixes every parameter is never sampled, so it takes its seat here
        if "fixed_params" in trial.system_attrs:
            with self._lock:
                seat = take_seat(study, trial, self._ledger(study, trial), self.population_size)
            record = {**seat, "role": "enqueued", "parents": [], "proposal": {}}
            _record(study, trial, record)
            _mirror(study, trial, record)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        with self._lock:
            return self._ledger(study, trial).space()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        rng = np.random.default_rng([self._seed(study), trial.number])
        proposal = Proposal(self._settle(study, trial, search_space, set(), rng))
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
        whole = self._proposals.get((id(study._storage), trial._trial_id), Proposal())
        if param_name not in whole:
            own = study._storage.get_trial_system_attrs(trial._trial_id).get(ATTRIBUTE, {})
            kept = {**own.get("proposal", {}), **trial.params}
            space = {**pinned(kept), param_name: param_distribution}
            return self._settle(study, trial, space, set(space), rng)[param_name]
        with self._lock:
            open_axes = self._ledger(study, trial).space()
        asked = {**pinned(trial.params), param_name: param_distribution}
        space = {**{name: open_axes[name] for name in whole if name in open_axes}, **asked}
        again = self._settle(study, trial, space, set(asked), rng)
        # the trial goes on with the new one: it looks up what it asks for next in this very dict
        whole.update({name: again[name] for name in whole if name in again})
        return again[param_name]

    def _ledger(self, study: Study, trial: FrozenTrial) -> Ledger:
        """Return the study's ledger, brought up to date without this trial."""
        _refuse_several_objectives(study)
        if study not in self._ledgers:
            self._ledgers[study] = Ledger(study.direction, self.monotone)
        self._ledgers[study].catch_up(study.get_trials(deepcopy=False), trial.number)
        return self._ledgers[study]

    def _settle(
        self,
        study: Study,
        trial: FrozenTrial,
        space: Axes,
        needed: Set[str],
        rng: np.random.Generator,
    ) -> Config:
        """Propose and record parameters until no other trial holds the same; return them.

        `needed` are the names that a configuration must have to be proposed again.
        """
        fixed = trial.system_attrs.get("fixed_params", {})
        space, needed = {**space, **pinned(fixed)}, {*needed, *fixed}
        with self._lock:
            ledger = self._ledger(study, trial)
            seat = take_seat(study, trial, ledger, self.population_size)
            while True:
                role, parents, proposal = self._propose(seat, ledger, space, needed, rng)
                record = {
                    **seat,
                    "role": "enqueued" if fixed else role,
                    "parents": parents,
                    "proposal": proposal,
                }
                _record(study, trial, record)
                ledger = self._ledger(study, trial)
                if role in ("replicate", "repeat") or proposal not in ledger:
                    _mirror(study, trial, record)
                    return proposal

    def _propose(
        self,
        seat: Mapping[str, int],
        ledger: Ledger,
        space: Axes,
        needed: Set[str],
        rng: np.random.Generator,
    ) -> tuple[str, list[int], Config]:
        """Return role, parents and parameters of a trial in this seat."""
        slot, alive = seat["slot"], self._parents(seat["generation"], ledger)
        is_elites = (
            bool(alive)
            and slot < self.elitism
            and ledger.is_noisy
            and self.exhausted == "replicate"
        )
        if is_elites and (replicate := self._replicate(ledger, space, needed)):
            return replicate
        if alive and slot < self.population_size - self.fresh_inject:
            turn = slot % len(alive)
            # the parent, then those who lend what the parent has not
            family = alive[turn:] + alive[:turn]
            if offspring := self._novel(lambda: child(family, space, rng), ledger):
                return "child", [family[0].number], screen(ledger, space, offspring)
        if offspring := self._novel(lambda: inherit([], space, rng), ledger) or self._untried(
            ledger, space, rng
        ):
            return "fresh" if alive else "random", [], screen(ledger, space, offspring)
        replicate = (
            self._replicate(ledger, space, needed) if self.exhausted == "replicate" else None
        )
        return replicate or self._repeat(ledger, space, rng)

    def _novel(self, draw: Callable[[], Config], ledger: Ledger) -> list[Config]:
        """Return up to `n_offspring` different untried draws; fewer where few are left."""
        offspring: dict[Signature, Config] = {}
        failures = 0  # in a row
        while len(offspring) < self.n_offspring and failures < TRIES:
            config = draw()
            key = signature(config)
            if key in offspring or config in ledger:
                failures += 1
            else:
                offspring[key], failures = config, 0
        return list(offspring.values())

    def _untried(self, ledger: Ledger, space: Axes, rng: np.random.Generator) -> list[Config]:
        """Return some of the untried configurations of a space that can be listed, or else none."""
        if size(space) > LISTABLE:
            return []
        untried = [config for config in all_configurations(space) if config not in ledger]
        return [untried[i] for i in rng.permutation(len(untried))[: self.n_offspring]]

    def _replicate(
        self, ledger: Ledger, space: Axes, needed: Set[str]
    ) -> tuple[str, list[int], Config] | None:
        """Return the configuration of this space that is worth another measurement, if any."""
        pairs = [(cell, cell.first.params) for cell in ledger.best_first()]
        cells = [cell for cell, params in pairs if needed <= params.keys() and fits(space, params)]
        cell = to_replicate(cells, space)
        return None if cell is None else ("replicate", [cell.first.number], dict(cell.first.params))

    def _repeat(
        self, ledger: Ledger, space: Axes, rng: np.random.Generator
    ) -> tuple[str, list[int], Config]:
        """Return one of the best once more, for a caller who keeps results."""
        leaders = [cell.first for cell in ledger.best_first(self.survivors)]
        family = [leaders[i] for i in rng.permutation(len(leaders))]
        return "repeat", [], inherit(family, space, rng)

    def _parents(self, generation: int, ledger: Ledger) -> list[FrozenTrial]:
        """Return the parents of a generation, best first; none of the first generation."""
        return parents(
            ledger,
            generation,
            population_size=self.population_size,
            elitism=self.elitism,
            tournament_size=self.tournament_size,
            survivors=self.survivors,
        )

    def _seed(self, study: Study) -> int:
        """Return the seed, and keep it and the settings in the study, for a resumed one."""
        stored = study._storage.get_study_system_attrs(study._study_id).get(ATTRIBUTE, {})
        default = stored.get("seed", int(np.random.default_rng().integers(2**31)))
        seed: int = default if self.seed is None else self.seed
        if stored != (settings := {**self._settings(), "seed": seed}):
            study._storage.set_study_system_attr(study._study_id, ATTRIBUTE, settings)
            study.set_user_attr(ATTRIBUTE, settings)
        return seed


def _refuse_several_objectives(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"TournamentSampler has one objective, not {len(study.directions)}; use NSGAIISampler"
        )


def _record(study: Study, trial: FrozenTrial, record: Config) -> None:
    study._storage.set_trial_system_attr(trial._trial_id, ATTRIBUTE, record)


def _mirror(study: Study, trial: FrozenTrial, record: Config) -> None:
    # the dashboard shows user attributes only
    for name in ("generation", "slot", "role", "parents"):
        if record["role"] == "enqueued" and name in trial.user_attrs:
            continue  # whoever queued it has given it a role of its own
        study._storage.set_trial_user_attr(trial._trial_id, name, record[name])
