"""The end of a finite space: what is left of it, and a callback that stops a study there."""

from __future__ import annotations

import math

from optuna.study import Study
from optuna.trial import FrozenTrial

from .configurations import configurations, levels
from .ledger import KEY, Ledger
from .recommendation import to_replicate

LISTABLE = 20_000  # a larger space is not listed


def ledger_of(study: Study) -> Ledger:
    """The ledger of a study as it is now, with the frontiers that its tournament was given."""
    settings = study._storage.get_study_system_attrs(study._study_id).get(KEY, {})
    ledger = Ledger(study.direction, settings.get("monotone"))
    ledger.catch_up(study.get_trials(deepcopy=False))
    return ledger


def left(study: Study) -> int | None:
    """How many configurations nobody has tried and no frontier rules out; None in a space without an end.

    The space is what the trials have asked for: before the first one it is not known, and the answer is None.
    """
    ledger = ledger_of(study)
    space = ledger.space()
    if not space or math.prod(map(levels, space.values())) > LISTABLE:
        return None
    return sum(config not in ledger for config in configurations(space))


def can_replicate(study: Study) -> bool:
    """Whether there is a configuration that is worth measuring again and can be."""
    ledger = ledger_of(study)
    return to_replicate(ledger.best_first(), ledger.space()) is not None


def stop_when_exhausted(study: Study, trial: FrozenTrial) -> None:  # noqa: ARG001  a callback is given both
    """A callback of `study.optimize`: stop once every configuration was tried.

    >>> import optuna
    >>> from . import TournamentSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=TournamentSampler(seed=0))
    >>> study.optimize(lambda t: t.suggest_int("x", 1, 6), n_trials=100, callbacks=[stop_when_exhausted])
    >>> len(study.trials)
    6
    """
    if left(study) == 0:
        study.stop()
