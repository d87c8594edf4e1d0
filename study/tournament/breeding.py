"""`Breeder` proposes the parameters of a trial from what a ledger knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from itertools import islice

import numpy as np
from optuna.trial import FrozenTrial

from .axes import Signature, signature
from .configurations import Axes, Config, all_configurations, children, fits, heirs, size
from .exhaustion import LISTABLE
from .generations import Seat, Settings, parents
from .ledger import Ledger
from .recommendation import to_replicate
from .screening import screen

TRIES = 20  # for each offspring, before the untried configurations are listed
ASIDE = 4  # so many times fewer offspring that are ruled out compete with those that are not
WHOLE = 4  # a space of up to so many times n_offspring configurations competes as a whole


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal says what a trial is to measure, and why.

    Args:
        role: "random", "child", "fresh", "replicate" or "repeat".
        parents: The numbers of the trials that it comes from.
        config: Its parameters.
    """

    role: str
    parents: list[int]
    config: Config


@dataclass(frozen=True, slots=True)
class Breeder:
    """A breeder proposes the parameters of one trial.

    Args:
        settings: The numbers of the tournament.
        ledger: What is known.
        space: What is searched.
        needed: The names that a configuration must have to be proposed again.
        rng: The random numbers of this trial.
    """

    settings: Settings
    ledger: Ledger
    space: Axes
    needed: Set[str]
    rng: np.random.Generator

    def propose(self, seat: Seat) -> Proposal:
        """Return what the trial in this seat is to measure."""
        settings, slot = self.settings, seat["slot"]
        alive = parents(self.ledger, seat["generation"], settings)
        replicates = settings.exhausted == "replicate"
        is_elites = bool(alive) and slot < settings.elitism and self.ledger.is_noisy and replicates
        if is_elites and (replicate := self._replicate()):
            return replicate
        everything = self._everything()
        if alive and slot < settings.population_size - settings.fresh_inject:
            turn = slot % len(alive)
            # the parent, then those who lend what the parent has not
            family = alive[turn:] + alive[:turn]
            offspring = everything or self._novel(children(family, self.space, self.rng))
            if offspring:
                return Proposal("child", [family[0].number], self._screened(offspring))
        role = "fresh" if alive else "random"
        offspring = everything or self._novel(heirs([], self.space, self.rng))
        if offspring := offspring or self._untried():
            return Proposal(role, [], self._screened(offspring))
        replicate = self._replicate() if replicates else None
        # What is ruled out comes last, only in the places of fresh blood: a replicate of a leader
        # helps to decide, such a trial mostly fails. Elsewhere it comes where replicates were seen
        # to tell nothing.
        is_fresh = slot >= settings.population_size - settings.fresh_inject
        is_exact = self.ledger.is_replicated and not self.ledger.is_noisy
        is_better = (replicate and not is_exact) or not replicates
        if (is_fresh or not is_better) and (offspring := self._ruled_out()):
            return Proposal(role, [], self._screened(offspring))
        return replicate or self._repeat()

    def _screened(self, offspring: list[Config]) -> Config:
        is_whole = size(self.space) <= WHOLE * self.settings.n_offspring
        return screen(self.ledger, self.space, offspring, is_whole=is_whole)

    def _novel(self, draws: Iterator[Config]) -> list[Config]:
        """Return up to `n_offspring` different untried draws; fewer where few are left.

        Some that a broken constraint rules out are among them, in case the direction that was
        declared is wrong; but none where there is nothing else.
        """
        n = self.settings.n_offspring
        offspring: dict[Signature, Config] = {}
        aside: dict[Signature, Config] = {}
        failures = 0  # in a row
        while len(offspring) < n and failures < TRIES:
            config = next(draws)
            key = signature(config)
            if key in offspring or key in aside or not self._is_open(config, key):
                failures += 1
            elif self.ledger.rules_out(config):
                aside[key] = config
                failures += 1
            else:
                offspring[key], failures = config, 0
        doubtful = list(aside.values())[: n // ASIDE] if offspring else []
        return [*offspring.values(), *doubtful]

    def _everything(self) -> list[Config]:
        """Return all that is untried in a small space, in random order; none if it is ruled out."""
        n = self.settings.n_offspring
        if n == 1 or size(self.space) > WHOLE * n:
            return []
        every = [one for one in all_configurations(self.space) if self._is_open(one)]
        if all(self.ledger.rules_out(one) for one in every):
            return []
        return [every[i] for i in self.rng.permutation(len(every))]

    def _untried(self) -> list[Config]:
        """Return some of what is untried and not ruled out, of a space that can be listed."""
        if size(self.space) > LISTABLE:
            return []
        return self._some(
            one
            for one in all_configurations(self.space)
            if one not in self.ledger and not self.ledger.rules_out(one)
        )

    def _ruled_out(self) -> list[Config]:
        """Return some of what is untried and not barred, drawn where it cannot be listed."""
        every: Iterable[Config] = islice(heirs([], self.space, self.rng), TRIES)
        if size(self.space) <= LISTABLE:
            every = all_configurations(self.space)
        return self._some(one for one in every if self._is_open(one))

    def _is_open(self, config: Config, key: Signature | None = None) -> bool:
        """Return whether it is untried, and no law bars it."""
        return not self.ledger.holds(key or signature(config)) and not self.ledger.bars(config)

    def _some(self, configs: Iterable[Config]) -> list[Config]:
        every = list(configs)
        return [every[i] for i in self.rng.permutation(len(every))[: self.settings.n_offspring]]

    def _replicate(self) -> Proposal | None:
        """Return the configuration of this space that is worth another measurement, if any."""
        pairs = [(member, member.first.params) for member in self.ledger.best_first()]
        members = [
            member
            for member, params in pairs
            if self.needed <= params.keys() and fits(self.space, params)
        ]
        member = to_replicate(members, self.space)
        if member is None:
            return None
        return Proposal("replicate", [member.first.number], dict(member.first.params))

    def _repeat(self) -> Proposal:
        """Return one of the best once more, for a caller who keeps results."""
        leaders = [member.first for member in self.ledger.best_first(self.settings.survivors)]
        family: list[FrozenTrial] = [leaders[i] for i in self.rng.permutation(len(leaders))]
        return Proposal("repeat", [], next(heirs(family, self.space, self.rng)))
