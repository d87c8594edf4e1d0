"""Read each trial as one record: what was launched and measured, and what it was worth.

A record is made of the user attributes of its trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
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
from study.storage.backends.patient import uncollected

BASELINE = "baseline"  # the role of the allocation in use today, measured first
REPLICATE = "replicate"  # the role of a trial that measures a known configuration once more
BRIDGE = "bridge"  # the role of a baseline that is measured again on another card
MOST_FITNESS = 1e6  # it is about 1 at most; more is damage, which no statistics survive
DOMINATED = "dominated"  # the user attribute `pruned` of a trial that was given up


# by study and number: what has ended does not change, and is asked for at every step
_ENDED: WeakKeyDictionary[optuna.Study, dict[int, Trial]] = WeakKeyDictionary()


class State(StrEnum):
    """The state says what became of a trial that has ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # the allocation does not work: it ran out of memory, or would
    DOMINATED = "dominated"  # it works, and was given up in the middle: it could not win
    FAILED = "failed"  # something failed that may not be the allocation's doing
    NOT_STARTED = "not_started"
    INTERRUPTED = "interrupted"


NEVER_MEASURED = (State.NOT_STARTED, State.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial that has ended.

    Args:
        number: Its number in the study.
        allocation: What was launched.
        state: What became of it.
        fitness: 0 where the allocation does not work; None where it was not measured whole.
        measurement: What a complete launch measured.
        diagnosis: Why it failed.
        measured: What had been measured by the time it failed, by flat name.
        constraints: Shares without a unit, met when <= 0.
        contributions: What each term adds to the fitness.
        word_gate: Whether its word errors pass; None where nothing was measured.
        minutes_more_audio: How much more audio would decide it, minutes; None where it is decided.
        repeat_of: The trial whose result it was given; None where it was launched.
        is_reference: Whether the terms of all others are relative to it.
        wall_s: What the measurement took where it was made, seconds.
        seed: The seed of its workload.
        at: When it began, ISO 8601.
        optimistic_fitness: The most that its fitness could have become where it was given up.
        own_card: The card whose own baseline its fitness is relative to; None for the study's one
            reference.
        card: The card whose lane measured it, or failed to; None for the study's only one.
    """

    number: int
    allocation: Allocation
    state: State
    fitness: float | None
    measurement: Measurement | None
    diagnosis: Diagnosis | None
    measured: Mapping[str, Any]
    constraints: Mapping[str, float]
    contributions: Mapping[str, float | None]
    word_gate: WordVerdict | None
    minutes_more_audio: float | None
    repeat_of: int | None
    is_reference: bool
    wall_s: float
    seed: int | None
    at: str | None
    optimistic_fitness: float | None = None
    own_card: str | None = None
    card: str | None = None

    @property
    def counts(self) -> bool:
        """Return whether it uses budget: a trial that was never measured does not."""
        return self.state not in NEVER_MEASURED

    @property
    def is_known(self) -> bool:
        """Return whether the configuration needs no further launch."""
        return self.state in (State.COMPLETE, State.PRUNED, State.DOMINATED)

    @property
    def is_feasible(self) -> bool:
        """Return whether it is complete with every constraint met."""
        return self.state is State.COMPLETE and all(v <= 0 for v in self.constraints.values())

    def to_json(self, test_id: str) -> dict[str, Any]:
        """Return one line of metrics.jsonl."""
        figures = self.measurement.flat() if self.measurement else dict(self.measured)
        figures.pop("wall_s", None)  # it comes below
        return {
            "test_id": test_id,
            "trial": self.number,
            "status": self.state,
            "parameters": dict(self.allocation.values),
            "fitness": self.fitness,
            "optimistic_fitness": self.optimistic_fitness,
            "contributions": dict(self.contributions),
            "constraints": dict(self.constraints),
            "word_gate": self.word_gate,
            "minutes_more_audio": self.minutes_more_audio,
            "repeat_of": self.repeat_of,
            "failure": asdict(self.diagnosis) if self.diagnosis else None,
            "wall_s": self.wall_s,
            "seed": self.seed,
            "at": self.at,
            **figures,
        }


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
        constraints={k: float(_of(v, int, float)) for k, v in sorted(trial.constraints.items())},
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


@dataclass(frozen=True, slots=True)
class Begun:
    """A trial that begins.

    Args:
        number: Its number in the study.
        allocation: What is launched.
        generation: The generation of the tournament; None for another sampler.
        role: Its role in the tournament; empty for another sampler.
    """

    number: int
    allocation: Allocation
    generation: int | None = None
    role: str = ""


def measured_in(trials: list[Trial]) -> list[tuple[Allocation, Measurement]]:
    """Return what was measured, each with its allocation."""
    return [(t.allocation, t.measurement) for t in trials if t.measurement is not None]
