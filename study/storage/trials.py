"""Trials are read from a study, each as one record made of the user attributes of its trial."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import optuna
from optuna.trial import FrozenTrial, TrialState

from objectives.allocation import OF_MEMORY, SPEECH, Allocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.errors import BadInput
from objectives.measurement import Measurement
from objectives.plain_data.by_type import ODD_DATA, from_plain, mapping_of
from objectives.plain_data.names_of_0_1 import current_names
from objectives.plain_data.spellable import spellable
from objectives.speech.wer import WordVerdict
from study.storage.garbage import uncollected
from study.storage.trial import DOMINATED, NEVER_MEASURED, NOT_SHOWN, State, Trial

MOST_FITNESS = 1e6  # it is about 1 at most; more is damage, which no statistics survive
# by study and number: what has ended does not change, and is asked for at every step
_ENDED: WeakKeyDictionary[optuna.Study, dict[int, Trial]] = WeakKeyDictionary()


def rows(study: optuna.Study) -> list[Trial]:
    """Return every trial that got its allocation and has ended, in order of its number.

    Raises:
        BadInput: What a trial keeps cannot be read.
    """
    ended = study.get_trials(
        deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    )
    known = _ENDED.setdefault(study, {})
    new = [t for t in ended if t.number not in known and t.user_attrs.get("allocation")]
    with uncollected():
        for trial in new:
            try:
                known[trial.number] = row(trial)
            except ODD_DATA as error:
                raise BadInput(
                    f"study {study.study_name}: what trial {trial.number} keeps cannot be read "
                    f"({error}); name another study, or open a new one with --fresh"
                ) from error
    return [known[trial.number] for trial in ended if trial.number in known]


def counted(study: optuna.Study) -> list[Trial]:
    """Return the trials that use budget."""
    return [r for r in rows(study) if r.counts]


def row(trial: FrozenTrial) -> Trial:
    """Return one ended trial."""
    attributes = trial.user_attrs
    measurement, failure = attributes.get("measurement"), attributes.get("failure")
    state = _state(trial)
    if len(trial.values or ()) > 1:
        raise ValueError(f"it has {len(trial.values)} values, not one")
    if trial.value is not None and not abs(trial.value) <= MOST_FITNESS:
        raise ValueError(f"its fitness cannot be {trial.value:g}")
    is_dominated = state is State.DOMINATED
    return Trial(
        number=trial.number,
        allocation=_allocation(attributes["allocation"]),
        state=state,
        fitness=0.0 if state is State.PRUNED else None if is_dominated else trial.value,
        optimistic_fitness=trial.value if is_dominated else None,
        measurement=Measurement.from_json(measurement) if measurement else None,
        diagnosis=from_plain(Diagnosis, failure) if failure else None,
        measured=current_names(mapping_of(attributes.get("measured", {}))),
        constraints={
            k: float(_of(v, int, float))
            for k, v in sorted(trial.constraints.items())
            if k != NOT_SHOWN
        },
        contributions={
            k: _of(v, int, float)
            for k, v in mapping_of(attributes.get("contributions", {})).items()
        },
        word_gate=WordVerdict(gate) if (gate := attributes.get("word_gate")) else None,
        minutes_more_audio=_of(attributes.get("minutes_more_audio"), int, float),
        repeat_of=_of(attributes.get("repeat_of"), int),
        is_reference=bool(attributes.get("is_reference")),
        wall_s=float(attributes.get("wall_s", 0.0)),
        seed=_of(attributes.get("seed"), int),
        at=_of(attributes.get("at"), str),
        card=_of(attributes.get("card"), str),
    )


def _of(value: Any, *kinds: type) -> Any:
    """Return a value of one of these types, or None.

    Raises:
        TypeError: It is of another.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        raise TypeError(f"{str(value)[:40]!r} is no {kinds[0].__name__}")
    return value


def _allocation(data: Any) -> Allocation:
    """Return what a trial measured.

    Raises:
        TypeError: It is none.
    """
    values = mapping_of(data)
    if SPEECH not in values:
        raise TypeError(f"{SPEECH} is missing")
    for name, value in values.items():
        if name in OF_MEMORY:
            _of(value, int, float)
        elif not isinstance(value, (bool, int, float, str)):
            raise TypeError(f"{name} is no value of a parameter")
    return Allocation({n: spellable(v) if isinstance(v, str) else v for n, v in values.items()})


def _state(trial: FrozenTrial) -> State:
    match trial.state:
        case TrialState.COMPLETE:
            return State.COMPLETE
        case TrialState.PRUNED:
            is_dominated = trial.user_attrs.get("pruned") == DOMINATED
            return State.DOMINATED if is_dominated else State.PRUNED
    why = trial.user_attrs.get("why")
    return next((state for state in NEVER_MEASURED if state == why), State.FAILED)
