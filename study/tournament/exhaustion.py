"""This module counts what is left of a finite space, and stops a study at its end."""

from __future__ import annotations

from optuna.study import Study
from optuna.trial import FrozenTrial

from .configurations import all_configurations, size
from .ledger import Ledger
from .member import ATTRIBUTE
from .recommendation import to_replicate

LISTABLE = 20_000  # a larger space is not listed


def ledger_of(study: Study) -> Ledger:
    """Return the ledger of a study as it is now, with the monotone constraints of its sampler."""
    settings = study._storage.get_study_system_attrs(study._study_id).get(ATTRIBUTE, {})
    ledger = Ledger(study.direction, settings.get("monotone"))
    ledger.catch_up(study.get_trials(deepcopy=False))
    return ledger


def left(study: Study) -> int | None:
    """Count the configurations that nobody has tried and no broken constraint speaks against.

    None in a space that is infinite or larger than 20,000. The space is what the trials have asked
    for, so before the first one the answer is None too.
    """
    ledger = ledger_of(study)
    space = ledger.space()
    if not space or size(space) > LISTABLE:
        return None
    open_ones = (config for config in all_configurations(space) if config not in ledger)
    return sum(not ledger.rules_out(config) for config in open_ones)


def can_replicate(study: Study) -> bool:
    """Tell whether there is a configuration that is worth measuring again and can be."""
    ledger = ledger_of(study)
    return to_replicate(ledger.best_first(), ledger.space()) is not None


def stop_when_exhausted(study: Study, trial: FrozenTrial) -> None:  # noqa: ARG001
    """Stop the study once every configuration was tried; a callback for `study.optimize`.

    >>> import optuna
    >>> from . import TournamentSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=TournamentSampler(seed=0))
    >>> study.optimize(
    ...     lambda t: t.suggest_int("x", 1, 6), n_trials=100, callbacks=[stop_when_exhausted]
    ... )
    >>> len(study.trials)
    6
    """
    if left(study) == 0:
        study.stop()
