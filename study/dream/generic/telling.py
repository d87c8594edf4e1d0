"""This module tells a study what an evaluation gave: its score, or why it has none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.trial import TrialState

from objectives.errors import BadInput
from study.dream.experiments.model import Goal
from study.dream.experiments.values import as_text
from study.dream.generic.evaluation import Evaluated
from study.dream.generic.figures import canonical, fitness, missing, number, numbers
from study.dream.generic.open_study import REFERENCE
from study.storage.trial import State


class WrongFigures(BadInput):
    """The first result lacks what `target_direction` names: no further one would be a score."""


def tell(
    study: optuna.Study,
    goals: Sequence[Goal],
    trial: int,
    candidate: Mapping[str, Any],
    outcome: Evaluated,
    say: Callable[[str], None],
) -> None:
    """Tell the study, and say so in a line.

    Args:
        study: The study.
        goals: Which figures are wanted.
        trial: The number of the trial.
        candidate: What was evaluated.
        outcome: What came of it.
        say: Gets the line.

    Raises:
        WrongFigures: No result has had every figure yet, nor has this one.
    """
    figures, value = outcome.figures, None
    attributes: dict[str, Any] = {"seconds": round(outcome.seconds, 3)}
    attributes["at"] = datetime.now(UTC).isoformat(timespec="seconds")
    if outcome.paused_s:
        attributes["paused_s"] = round(outcome.paused_s, 3)
    if outcome.failure is None and (lacking := missing(figures, goals)):
        _refuse_first(study, trial, lacking, figures)
        words = f"the result has no number for {', '.join(lacking)}"
        outcome = replace(outcome, failure="bad_result", error=words)
    if outcome.failure is None:
        values = numbers(figures, goals)
        reference = study.user_attrs.get(REFERENCE, values)
        value = fitness(values, reference, goals)
        if not math.isfinite(value):
            words = "its figures are too far from the first ones for a score"
            outcome, value = replace(outcome, failure="bad_result", error=words), None
        elif REFERENCE not in study.user_attrs:
            study.set_user_attr(REFERENCE, values)
        attributes["canonical"] = canonical(figures, goals)
    if outcome.failure is not None:
        attributes |= {"failure": outcome.failure, "error": outcome.error}
    attributes["figures"] = dict(figures)
    storage_id = study.get_trials(deepcopy=False)[trial]._trial_id
    for name, attribute in attributes.items():
        study._storage.set_trial_user_attr(storage_id, name, attribute)
    if value is None:
        study.tell(trial, state=TrialState.FAIL)
        say(f"trial {trial}: {as_text(candidate)}: failed: {outcome.error}")
    else:
        study.tell(trial, value)
        shown = ", ".join(f"{g.name} {number_of(figures[g.name])}" for g in goals)
        say(f"trial {trial}: {as_text(candidate)}: fitness {value:.4g}; {shown}")


def interrupt(study: optuna.Study, trial: int) -> None:
    """End a trial that is to be evaluated again."""
    storage_id = study.get_trials(deepcopy=False)[trial]._trial_id
    study._storage.set_trial_user_attr(storage_id, "why", State.INTERRUPTED.value)
    study.tell(trial, state=TrialState.FAIL)


def number_of(value: Any) -> str:
    """Return a figure for a line.

    >>> number_of(12.345678), number_of(True)
    ('12.35', '1')
    """
    figure = number(value)
    return "?" if figure is None else f"{figure:.4g}"


def _refuse_first(
    study: optuna.Study, trial: int, lacking: Sequence[str], figures: Mapping[str, Any]
) -> None:
    """Stop the experiment where no result has had the figures that it names."""
    if REFERENCE in study.user_attrs:
        return
    interrupt(study, trial)
    there = [name for name, value in figures.items() if number(value) is not None]
    raise WrongFigures(
        f"the first result has no number for {', '.join(lacking)}, which target_direction "
        f"names; it has {', '.join(there) or 'no numbers'}; correct the names"
    )
