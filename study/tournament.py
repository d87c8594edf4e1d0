"""The R-Zero tournament with a memory, as an Optuna sampler.

Trials come in generations of `population_size`. The first is random. For every later one, the generation
before it, joined by the best `elitism` trials of the whole study, is cut into groups of `tournament_size`;
the best `survivors` of each group live (of a smaller last group, its share) and have children: copies with
at least one parameter changed. The last `fresh_inject` places are random candidates, so that no corner is
closed for ever. An elite is a parent only: nobody pays to run it again.

The old loop had no memory. Here everything tried, running, enqueued or imported is in an archive. A
proposal found there is drawn again, and where the neighbourhood is used up any untried configuration will
do: a space of 5 x 3 is measured in exactly 15 trials. With nothing left, one of the best is proposed again,
as a "repeat"; a caller who would rather stop asks `untried`, for this sampler never stops a study.

    COMPLETE   known; infeasible if a constraint is above 0
    PRUNED     known and infeasible: after every feasible trial, by how far its constraints are exceeded
    RUNNING    taken: it has its place in the generation, and nobody else proposes the same
    FAIL       unknown: gives its place back, is no parent, may come once more (after two, it counts as tried)

The instance remembers nothing. Generation, slot, role ("random", "child", "fresh", "enqueued" or "repeat"),
parents and proposal are attributes of the trial, settings and seed of the study, and each trial has random
numbers of its own, `np.random.default_rng([seed, trial.number])`: the same history gives the same proposal in
any process, after a resume, with any number of workers. Workers take no lock: each writes its proposal, reads
the others again, and draws again if one of them has the same. Of two, at least the later writer sees it.

The space is what the trials so far have asked for, in the newest range of each name; ranges may shrink.
Conditional parameters are inherited from the parents like the others.

>>> import optuna
>>> optuna.logging.set_verbosity(optuna.logging.WARNING)
>>> study = optuna.create_study(sampler=TournamentSampler(seed=0))
>>> study.optimize(lambda trial: trial.suggest_int("x", 1, 5) * trial.suggest_int("y", 1, 3), n_trials=15)
>>> len({(trial.params["x"], trial.params["y"]) for trial in study.trials})
15
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from study.configurations import Config, Space, child, inherit, levels, pinned, untried
from study.trials import KEY, STARTED, archive, best_first, violation

DRAWS = 20  # before the untried configurations are listed
LISTABLE = 20_000  # a larger space is not listed


class TournamentSampler(BaseSampler):
    """One objective, either direction; the module says how. Without a seed the study draws and keeps one."""

    def __init__(
        self,
        *,
        tournament_size: int = 4,
        survivors: int = 2,
        elitism: int = 1,
        fresh_inject: int = 1,
        population_size: int = 5,
        seed: int | None = None,
    ) -> None:
        if not 1 <= survivors <= tournament_size:
            raise ValueError(f"survivors is {survivors}; give 1 to tournament_size ({tournament_size})")
        if not 0 <= fresh_inject < population_size:
            raise ValueError(f"fresh_inject is {fresh_inject}; give 0 to population_size - 1 ({population_size - 1})")
        if elitism < 0 or (seed or 0) < 0:
            raise ValueError(f"elitism is {elitism} and seed is {seed}; give 0 or more")
        self.tournament_size = tournament_size
        self.survivors = survivors
        self.elitism = elitism
        self.fresh_inject = fresh_inject
        self.population_size = population_size
        self.seed = seed

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._seed(study)
        if "fixed_params" in trial.system_attrs:  # if that is all of them, we are not asked again
            seat = self._seat(trial, _others(study, trial))
            record = {**seat, "role": "enqueued", "parents": [], "proposal": {}}
            _record(study, trial, record)
            _mirror(study, trial, record)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        space: dict[str, BaseDistribution] = {}
        for other in _others(study, trial):
            space.update(other.distributions)
        return dict(sorted(space.items()))

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._settle(study, trial, search_space, np.random.default_rng([self._seed(study), trial.number]))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A parameter never seen before, or one outside the range that the study has had until now."""
        rng = np.random.default_rng([self._seed(study), trial.number, zlib.crc32(param_name.encode())])
        own = study._storage.get_trial_system_attrs(trial._trial_id).get(KEY, {})
        space = {**pinned({**own.get("proposal", {}), **trial.params}), param_name: param_distribution}
        return self._settle(study, trial, space, rng)[param_name]

    def _settle(self, study: Study, trial: FrozenTrial, space: Space, rng: np.random.Generator) -> Config:
        """Propose, write it down, look again; until nobody else holds the same."""
        fixed = trial.system_attrs.get("fixed_params", {})
        space = {**space, **pinned(fixed)}
        others = _others(study, trial)
        seat = self._seat(trial, others)
        while True:
            role, parents, proposal = self._propose(study, seat, others, space, rng)
            record = {**seat, "role": "enqueued" if fixed else role, "parents": parents, "proposal": proposal}
            _record(study, trial, record)
            others = _others(study, trial)
            if role == "repeat" or proposal not in archive(others):
                _mirror(study, trial, record)
                return proposal

    def _propose(
        self,
        study: Study,
        seat: Mapping[str, int],
        others: Sequence[FrozenTrial],
        space: Space,
        rng: np.random.Generator,
    ) -> tuple[str, list[int], Config]:
        """Role, parents and parameters of a trial in this seat."""
        alive = self._survivors(study, seat["generation"], others)
        tried = archive(others)
        if alive and seat["slot"] < self.population_size - self.fresh_inject:
            turn = seat["slot"] % len(alive)
            family = alive[turn:] + alive[:turn]  # the parent, then those who lend what the parent has not
            for _ in range(DRAWS):
                if (proposal := child(family, space, rng)) not in tried:
                    return "child", [family[0].number], proposal
        role = "fresh" if alive else "random"
        for _ in range(DRAWS):
            if (proposal := inherit([], space, rng)) not in tried:
                return role, [], proposal
        if math.prod(map(levels, space.values())) <= LISTABLE and (left := list(untried(space, tried) or ())):
            return role, [], left[rng.integers(len(left))]
        leaders = best_first(study, others)[: self.survivors]
        return "repeat", [], inherit([leaders[i] for i in rng.permutation(len(leaders))], space, rng)

    def _seat(self, trial: FrozenTrial, others: Iterable[FrozenTrial]) -> dict[str, int]:
        """The generation, by the trials started before this one, and its lowest slot that nobody holds."""
        started = [other for other in others if other.number < trial.number and other.state in STARTED]
        generation, slot = divmod(len(started), self.population_size)
        seats = [other.system_attrs.get(KEY, {}) for other in started]
        held = {seat["slot"] for seat in seats if seat.get("generation") == generation}
        free = [place for place in range(self.population_size) if place not in held]
        return {"generation": generation, "slot": min(free, default=slot)}

    def _survivors(self, study: Study, generation: int, others: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """Who lives of the generation before and of the elite, best first; the infeasible only if all are."""
        started = [other for other in others if other.state in STARTED]
        born = {
            other.number: other.system_attrs.get(KEY, {}).get("generation", index // self.population_size)
            for index, other in enumerate(started)
        }
        ranked = best_first(study, started) if generation else []
        elite, rest = ranked[: self.elitism], ranked[self.elitism :]
        before = [other for other in rest if born[other.number] == generation - 1]
        # there is no barrier: while the generation before is all running, the best of older ones stand in
        pool = elite + sorted(before or rest[: self.tournament_size], key=lambda other: other.number)
        alive = []
        for start in range(0, len(pool), self.tournament_size):
            group = best_first(study, pool[start : start + self.tournament_size])
            alive += group[: math.ceil(self.survivors * len(group) / self.tournament_size)]
        return [other for other in best_first(study, alive) if violation(other) == 0] or best_first(study, alive)

    def _seed(self, study: Study) -> int:
        """The seed; it and the settings are kept in the study, where a resumed one finds them."""
        if len(study.directions) > 1:
            raise ValueError(f"TournamentSampler has one objective, not {len(study.directions)}; use NSGAIISampler")
        kept = study._storage.get_study_system_attrs(study._study_id).get(KEY, {})
        drawn = kept.get("seed", int(np.random.default_rng().integers(2**31)))
        seed: int = drawn if self.seed is None else self.seed
        if kept != (settings := {**vars(self), "seed": seed}):
            study._storage.set_study_system_attr(study._study_id, KEY, settings)
            study.set_user_attr(KEY, settings)
        return seed


def _others(study: Study, trial: FrozenTrial) -> list[FrozenTrial]:
    return [other for other in study.get_trials(deepcopy=False) if other.number != trial.number]


def _record(study: Study, trial: FrozenTrial, record: Config) -> None:
    study._storage.set_trial_system_attr(trial._trial_id, KEY, record)


def _mirror(study: Study, trial: FrozenTrial, record: Config) -> None:
    for name in ("generation", "slot", "role", "parents"):  # the dashboard shows user attributes only
        study._storage.set_trial_user_attr(trial._trial_id, name, record[name])
