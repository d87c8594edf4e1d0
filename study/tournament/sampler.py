"""The R-Zero tournament with a memory, as an Optuna sampler."""

from __future__ import annotations

import math
import threading
import weakref
import zlib
from collections.abc import Callable, Mapping, Set
from typing import Any, Literal

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from .configurations import (
    Config,
    Identity,
    Space,
    child,
    configurations,
    fits,
    identity,
    inherit,
    pinned,
    size,
)
from .exhaustion import LISTABLE
from .ledger import KEY, Cell, Ledger, Monotone
from .recommendation import to_replicate
from .screening import screen

DRAWS = 20  # for each offspring, before the untried configurations are listed


class TournamentSampler(BaseSampler):
    """The tournament; the docstring of this package says how it works.

    tournament_size: of a group; survivors: who live of each group; elitism: how many of the best of the whole study
    are parents in every generation; fresh_inject: random candidates in a generation of population_size trials
    n_offspring: candidates drawn for a place, of which a Gaussian process picks one; 1 is the pure tournament
    exhausted: what to do where nothing is untried: "replicate" measures the leaders again, "repeat" proposes one
    monotone: by constraint and parameter, 1, -1 or 0: whether more, less or neither of it demands more
    seed: without one the study draws and keeps one
    raises: ValueError where an argument makes no sense, or on a study with several objectives
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
                f"fresh_inject is {fresh_inject}; give 0 to population_size - 1 ({population_size - 1})"
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
                    f"monotone[{name!r}] has {wrong}; give 1 (more demands more), -1 (less does) or 0"
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
        if "fixed_params" in trial.system_attrs:  # if that is all of them, we are not asked again
            with self._lock:
                seat = self._seat(study, trial, self._ledger(study, trial))
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
        return self._settle(study, trial, search_space, set(), rng)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """A parameter never seen before, or one outside the range that the study has had until now."""
        rng = np.random.default_rng(
            [self._seed(study), trial.number, zlib.crc32(param_name.encode())]
        )
        own = study._storage.get_trial_system_attrs(trial._trial_id).get(KEY, {})
        space = {
            **pinned({**own.get("proposal", {}), **trial.params}),
            param_name: param_distribution,
        }
        return self._settle(study, trial, space, set(space), rng)[param_name]

    def _ledger(self, study: Study, trial: FrozenTrial) -> Ledger:
        """What is known and running now, this trial apart."""
        _refuse_several_objectives(study)
        if study not in self._ledgers:
            self._ledgers[study] = Ledger(study.direction, self.monotone)
        self._ledgers[study].catch_up(study.get_trials(deepcopy=False), trial.number)
        return self._ledgers[study]

    def _settle(
        self,
        study: Study,
        trial: FrozenTrial,
        space: Space,
        needed: Set[str],
        rng: np.random.Generator,
    ) -> Config:
        """Propose, write it down, look again; until nobody else holds the same. Only what is needed must be in it."""
        fixed = trial.system_attrs.get("fixed_params", {})
        space, needed = {**space, **pinned(fixed)}, {*needed, *fixed}
        with self._lock:
            ledger = self._ledger(study, trial)
            seat = self._seat(study, trial, ledger)
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
        space: Space,
        needed: Set[str],
        rng: np.random.Generator,
    ) -> tuple[str, list[int], Config]:
        """Role, parents and parameters of a trial in this seat."""
        slot, alive = seat["slot"], self._survivors(seat["generation"], ledger)
        is_elites = (
            bool(alive)
            and slot < self.elitism
            and ledger.is_noisy
            and self.exhausted == "replicate"
        )
        if is_elites and (again := self._again(ledger, space, needed)):
            return again
        if alive and slot < self.population_size - self.fresh_inject:
            turn = slot % len(alive)
            family = (
                alive[turn:] + alive[:turn]
            )  # the parent, then those who lend what the parent has not
            if offspring := self._novel(lambda: child(family, space, rng), ledger):
                return "child", [family[0].number], screen(ledger, space, offspring)
        if offspring := self._novel(lambda: inherit([], space, rng), ledger) or self._left(
            ledger, space, rng
        ):
            return "fresh" if alive else "random", [], screen(ledger, space, offspring)
        again = self._again(ledger, space, needed) if self.exhausted == "replicate" else None
        return again or self._repeat(ledger, space, rng)

    def _novel(self, draw: Callable[[], Config], ledger: Ledger) -> list[Config]:
        """Up to n_offspring different draws that nobody has tried; fewer where few are left to find."""
        found: dict[Identity, Config] = {}
        vain = 0
        while len(found) < self.n_offspring and vain < DRAWS:
            drawn = draw()
            one = identity(drawn)
            if one in found or drawn in ledger:
                vain += 1
            else:
                found[one], vain = drawn, 0
        return list(found.values())

    def _left(self, ledger: Ledger, space: Space, rng: np.random.Generator) -> list[Config]:
        """Some of the untried configurations of a space that can be listed."""
        if size(space) > LISTABLE:
            return []
        left = [config for config in configurations(space) if config not in ledger]
        return [left[i] for i in rng.permutation(len(left))[: self.n_offspring]]

    def _again(
        self, ledger: Ledger, space: Space, needed: Set[str]
    ) -> tuple[str, list[int], Config] | None:
        """The known configuration of this space that is worth another measurement."""
        known = [(cell, cell.first.params) for cell in ledger.best_first()]
        cells = [cell for cell, params in known if needed <= params.keys() and fits(space, params)]
        cell = to_replicate(cells, space)
        return None if cell is None else ("replicate", [cell.first.number], dict(cell.first.params))

    def _repeat(
        self, ledger: Ledger, space: Space, rng: np.random.Generator
    ) -> tuple[str, list[int], Config]:
        """One of the best once more, for a caller who keeps results; nobody need measure it."""
        leaders = [cell.first for cell in ledger.best_first(self.survivors)]
        return (
            "repeat",
            [],
            inherit([leaders[i] for i in rng.permutation(len(leaders))], space, rng),
        )

    def _seat(self, study: Study, trial: FrozenTrial, ledger: Ledger) -> dict[str, int]:
        """The generation, by the trials started before this one, and its lowest slot that nobody holds."""
        generation, slot = divmod(ledger.started_before(trial.number), self.population_size)
        trials = study.get_trials(deepcopy=False)[generation * self.population_size : trial.number]
        seats = [
            other.system_attrs.get(KEY, {}) for other in trials if other.state != TrialState.FAIL
        ]
        held = {seat["slot"] for seat in seats if seat.get("generation") == generation}
        free = [place for place in range(self.population_size) if place not in held]
        return {"generation": generation, "slot": min(free, default=slot)}

    def _survivors(self, generation: int, ledger: Ledger) -> list[FrozenTrial]:
        """Who lives of the generation before and of the elite, best first; the infeasible only if all are."""
        if not generation:
            return []
        elite = ledger.best_first(self.elitism)
        above = {id(cell) for cell in elite}
        before = [
            c for c in ledger.generation(generation - 1, self.population_size) if id(c) not in above
        ]
        if (
            not before
        ):  # there is no barrier: while all of them are running, the best of older ones stand in
            before = ledger.best_first(self.elitism + self.tournament_size)[self.elitism :]
        pool = elite + sorted(before, key=lambda cell: cell.first.number)
        alive: list[Cell] = []
        for start in range(0, len(pool), self.tournament_size):
            group = sorted(pool[start : start + self.tournament_size], key=_rank)
            alive += group[: math.ceil(self.survivors * len(group) / self.tournament_size)]
        alive.sort(key=_rank)
        return [cell.first for cell in alive if cell.violation == 0] or [
            cell.first for cell in alive
        ]

    def _seed(self, study: Study) -> int:
        """The seed; it and the settings are kept in the study, where a resumed one finds them."""
        kept = study._storage.get_study_system_attrs(study._study_id).get(KEY, {})
        drawn = kept.get("seed", int(np.random.default_rng().integers(2**31)))
        seed: int = drawn if self.seed is None else self.seed
        if kept != (settings := {**self._settings(), "seed": seed}):
            study._storage.set_study_system_attr(study._study_id, KEY, settings)
            study.set_user_attr(KEY, settings)
        return seed


def _refuse_several_objectives(study: Study) -> None:
    if len(study.directions) > 1:
        raise ValueError(
            f"TournamentSampler has one objective, not {len(study.directions)}; use NSGAIISampler"
        )


def _rank(cell: Cell) -> tuple[float, float, int]:
    return cell.rank


def _record(study: Study, trial: FrozenTrial, record: Config) -> None:
    study._storage.set_trial_system_attr(trial._trial_id, KEY, record)


def _mirror(study: Study, trial: FrozenTrial, record: Config) -> None:
    for name in (
        "generation",
        "slot",
        "role",
        "parents",
    ):  # the dashboard shows user attributes only
        if record["role"] == "enqueued" and name in trial.user_attrs:
            continue  # whoever queued it has given it a role of its own
        study._storage.set_trial_user_attr(trial._trial_id, name, record[name])
